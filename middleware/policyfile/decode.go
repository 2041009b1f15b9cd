package policyfile

import (
	"fmt"
	"net/netip"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-go/weir/middleware"
)

// policy reads the whole file. The hooks come from the program, all else from the file
// alone: a default that a program gave beside the file would be a limit that whoever
// reads the file does not see.
func (d *decoder) policy(root *yaml.Node) middleware.Policy {
	m := d.mapping("", root)
	p := middleware.Policy{
		Default:       d.rules("default", m.list("default")),
		Always:        d.rules("always", m.list("always")),
		Dialects:      d.dialects(m),
		ExposeHeaders: m.flag("exposeHeaders"),
		HideDegraded:  m.flag("hideDegraded"),
		KeepHeaders:   m.flag("keepHeaders"),
		EchoRequestID: m.flag("echoRequestId"),
		Problem:       m.flag("problem"),
		Shadow:        m.flag("shadow"),
		Namespace:     m.text("namespace"),
	}
	always := work(m.list("always"))
	for i, n := range m.list("skip_methods") {
		at := fmt.Sprintf("skip_methods[%d]", i)
		d.lines[at] = line(n)
		p.SkipMethods = append(p.SkipMethods, d.text(at, n))
	}
	for i, n := range m.list("routes") {
		p.Routes = append(p.Routes, d.route(fmt.Sprintf("routes[%d]", i), n, always))
	}
	if n := m.get("address"); n != nil {
		p.Address = d.address("address", n)
	}
	p.Domains = d.domains(m)
	p.Deny, p.Allow = d.matches(m, "deny"), d.matches(m, "allow")
	if p.Problem && d.options.Hooks.Respond != nil {
		d.fail("problem", m.fields["problem"], "has no effect here: the program writes the refusals itself")
	}
	m.get("$schema") // editors put it there
	m.done()
	d.options.Hooks.set(&p)
	return p
}

// dialects reads the list of header forms. Which of them exclude each other is the
// policy's to check.
func (d *decoder) dialects(m *mapping) middleware.Dialect {
	words := map[string]middleware.Dialect{
		"x-ratelimit":         middleware.XRateLimit,
		"x-ratelimit-seconds": middleware.XRateLimitSeconds,
		"ietf":                middleware.IETF,
		"none":                middleware.NoHeaders,
	}
	var sum middleware.Dialect
	for i, n := range m.list("headers") {
		path := fmt.Sprintf("headers[%d]", i)
		word, ok := words[d.text(path, n)]
		if !ok {
			d.fail(path, n, "is not one of "+wordList(words))
		}
		sum |= word
	}
	return sum
}

// address reads whose address counts, for the whole policy or for one key.
func (d *decoder) address(path string, n *yaml.Node) middleware.Address {
	m := d.mapping(path, n)
	a := middleware.Address{
		Source: choice(m, "source", middleware.XForwardedFor, map[string]middleware.Source{
			"x-forwarded-for": middleware.XForwardedFor,
			"forwarded":       middleware.Forwarded,
		}),
		Header:     m.text("header"),
		Hops:       int(m.number("hops")),
		IPv6Prefix: int(m.number("ipv6Prefix")),
	}
	if a.Header != "" && m.get("source") != nil {
		d.fail(m.at("header"), m.get("header"), "excludes source: use one of the two")
	}
	if n := m.get("header"); n != nil && a.Header == "" {
		d.fail(m.at("header"), n, "is not a header name")
	}
	for i, n := range m.list("trusted") {
		at := fmt.Sprintf("%s.trusted[%d]", path, i)
		if d.text(at, n) == "unix" {
			a.TrustUnix = true
			continue
		}
		// The check of the policy counts without unix.
		checked := fmt.Sprintf("%s.trusted[%d]", path, len(a.Trusted))
		d.lines[checked], d.written[checked] = line(n), at
		a.Trusted = append(a.Trusted, d.network(at, n, "is not a network such as 10.0.0.0/8, an address, or unix"))
	}
	for i, n := range m.list("translators") {
		at := fmt.Sprintf("%s.translators[%d]", path, i)
		d.lines[at] = line(n)
		a.Translators = append(a.Translators, d.network(at, n, "is not a network such as 2001:db8:64::/96"))
	}
	m.done()
	return a
}

// network is a network, or a single address, which stands for the network of just that one:
// most chains have one proxy. A zone is a name that only one host knows, so an address
// with one is refused.
func (d *decoder) network(path string, n *yaml.Node, reason string) netip.Prefix {
	text := d.text(path, n)
	p, err := netip.ParsePrefix(text)
	if a, e := netip.ParseAddr(text); e == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		d.fail(path, n, reason)
	}
	return p
}

// route reads one route. Several patterns keep their lines, so that an error in one of
// them is told where it stands.
func (d *decoder) route(path string, n *yaml.Node, always int) middleware.Route {
	m := d.mapping(path, n)
	var r middleware.Route
	m.require("pattern")
	switch n := m.get("pattern"); {
	case n != nil && n.Kind == yaml.SequenceNode:
		for i, one := range d.list(m.at("pattern"), n) {
			at := fmt.Sprintf("%s[%d]", m.at("pattern"), i)
			d.lines[at] = line(one)
			r.Patterns = append(r.Patterns, d.text(at, one))
		}
	default:
		r.Patterns = []string{d.text(m.at("pattern"), n)}
	}
	r.Exempt = m.flag("exempt")
	r.Rules = d.rules(m.at("rules"), m.list("rules"))
	m.done()
	d.bound(m, r.Patterns, always+work(m.list("rules")))
	return r
}

// bound counts the patterns and what is to be made for each.
func (d *decoder) bound(m *mapping, patterns []string, each int) {
	d.patterns += len(patterns)
	d.work += len(patterns) * each
	switch {
	case d.patterns > patternsMax:
		d.add(&Error{Line: line(m.node), Field: m.at("pattern"), Reason: fmt.Sprintf("is one of more than %d patterns", patternsMax)})
	case d.work > workMax:
		d.add(&Error{Line: line(m.node), Field: m.at("pattern"), Reason: "is too much: so many rules for each of so many patterns"})
	case slices.ContainsFunc(patterns, func(p string) bool { return len(p) > patternMax }):
		d.add(&Error{Line: line(m.node), Field: m.at("pattern"), Reason: fmt.Sprintf("is longer than %d bytes", patternMax)})
	}
}

// rules reads a list of rules, in the order in which the headers name them.
func (d *decoder) rules(path string, nodes []*yaml.Node) []middleware.Rule {
	rules := make([]middleware.Rule, 0, len(nodes))
	for i, n := range nodes {
		rules = append(rules, d.rule(fmt.Sprintf("%s[%d]", path, i), n))
	}
	return rules
}
