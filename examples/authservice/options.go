package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// bad is what is said of a flag that cannot be.
func bad(name string, value any, why string) error {
	return fmt.Errorf("flag -%s: %q %s", name, fmt.Sprint(value), why)
}

// parse reads the flags. Its errors name the flag and the value.
func parse(args []string, secret string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("authservice", flag.ContinueOnError)
	f.SetOutput(io.Discard) // run prints the error, once
	var x texts
	o.define(f, &x)
	if err := f.Parse(args); err != nil {
		if err == flag.ErrHelp {
			f.SetOutput(stderr)
			fmt.Fprint(stderr, usage)
			f.PrintDefaults()
		}
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("argument %q: there are only flags", f.Arg(0))
	}
	set := map[string]bool{}
	f.Visit(func(f *flag.Flag) { set[f.Name] = true })
	for _, step := range []func() error{
		func() error { return o.check(set, x) },
		func() error { return o.read(x) },
		func() error { return o.ports(set) },
		func() error { return o.readFiles(x, secret) },
	} {
		if err := step(); err != nil {
			return o, err
		}
	}
	return o, nil
}

// check says which flags cannot be, alone or together.
func (o *options) check(set map[string]bool, x texts) error {
	switch {
	case o.nodes < 1 || o.nodes > nodesMax:
		return bad("nodes", o.nodes, fmt.Sprintf("is not within 1 to %d", nodesMax))
	case o.nodes > 1 && set["name"]:
		return bad("name", o.name, "needs -nodes 1: several nodes cannot share a name")
	case o.nodes > 1 && set["join"]:
		return bad("join", x.join, "needs -nodes 1: the nodes of one process join each other")
	case o.nodes > 1 && set["advertise"]:
		return bad("advertise", o.advertise, "needs -nodes 1: several nodes cannot share an address")
	case o.expected < 0:
		return bad("expected-nodes", o.expected, "is negative")
	case o.timeout < 0:
		return bad("call-timeout", o.timeout, "is negative")
	case o.drain < 0 || o.drain > drainMax:
		return bad("drain", o.drain, fmt.Sprintf("is not within 0s to %v", drainMax))
	case set["admin"] && !service.IsLoopback(o.admin):
		return bad("admin", o.admin, "is not a loopback address: the page has no authentication of its own")
	case o.policy == "" && set["policy"]:
		return bad("policy", "", "is no file")
	case o.policy != "" && o.try:
		return bad("policy", o.policy, "excludes -try, which knows the limits of the reference policy only")
	case o.policy != "" && set["headers"]:
		return bad("headers", x.headers, "excludes -policy: the file says it, by headers:")
	case o.try && set["headers"]:
		return bad("headers", x.headers, "excludes -try, which reads the headers of the default")
	}
	if o.issuer != "" {
		u, err := url.Parse(o.issuer)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.HasSuffix(o.issuer, "/") || u.RawQuery+u.Fragment != "" {
			return bad("issuer", o.issuer, `is not a URL such as "https://auth.example.org", without a final slash`)
		}
	}
	return nil
}

// read makes values of the flags that are lists or names.
func (o *options) read(x texts) (err error) {
	if o.join = list(x.join); len(o.join) == 0 && x.join != "" {
		return bad("join", x.join, "has no address")
	}
	if o.voters = list(x.voters); len(o.voters) == 0 && x.voters != "" {
		return bad("voters", x.voters, "has no name")
	}
	for i := range min(o.nodes, votersMost) {
		if x.voters == "" && o.nodes > 1 {
			o.voters = append(o.voters, nodeName(i))
		}
	}
	if o.split, err = splitOf(x.split); err != nil {
		return bad("split", x.split, err.Error())
	}
	if o.headers, err = dialectOf(list(x.headers)); err != nil {
		return bad("headers", x.headers, err.Error())
	}
	for _, text := range list(x.trusted) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return bad("trusted-proxies", text, `is not a network such as "10.0.0.0/8"`)
		}
		o.trusted = append(o.trusted, p)
	}
	o.origins = list(x.origins)
	for _, text := range o.origins {
		u, err := url.Parse(text)
		if text != "*" && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != text) {
			return bad("cors-origin", text, `is not an origin such as "https://app.example.org", or *`)
		}
	}
	return nil
}

// readFiles reads the files that must not be on a command line.
func (o *options) readFiles(x texts, secret string) error {
	if x.secretFile != "" && secret != "" {
		return bad("secret-file", x.secretFile, "excludes WEIR_SECRET: use one of the two")
	}
	o.secret = cluster.Secret(secret)
	if x.secretFile != "" {
		all, err := readSecrets(x.secretFile)
		if err != nil {
			return bad("secret-file", x.secretFile, err.Error())
		}
		o.secret, o.secrets, o.file = all[0], all, x.secretFile
	}
	if x.idFile != "" {
		all, err := readSecrets(x.idFile)
		switch {
		case err != nil:
			return bad("id-secret-file", x.idFile, err.Error())
		case len(all) > 1:
			return bad("id-secret-file", x.idFile, "has several lines")
		case len(o.secret) == 0:
			return bad("id-secret-file", x.idFile, "needs a secret beside it: -secret-file")
		}
		o.ids = all[0]
	}
	if len(o.secrets) > 1 && len(o.ids) == 0 {
		return bad("secret-file", x.secretFile, "has several secrets, which needs -id-secret-file")
	}
	if o.nodes > 1 && len(o.secret) == 0 {
		o.secret = cluster.NewSecret() // shared by the nodes of this process, and by nobody else
	}
	if x.signingFile == "" {
		return nil
	}
	text, err := os.ReadFile(x.signingFile)
	if err != nil {
		return bad("signing-key", x.signingFile, "cannot be read: "+err.Error())
	}
	if o.signing, err = service.ReadSigningKey(text); err != nil {
		return bad("signing-key", x.signingFile, err.Error())
	}
	return nil
}

// ports checks the addresses. A demonstration needs no port that one knows beforehand, so
// it should not fail because somebody else uses one.
func (o *options) ports(set map[string]bool) error {
	for _, a := range []struct {
		name string
		addr *string
	}{{"http", &o.http}, {"bind", &o.bind}, {"admin", &o.admin}} {
		if a.name == "admin" && !set[a.name] {
			continue
		}
		if o.try && !set[a.name] {
			*a.addr = "127.0.0.1:0"
		}
		_, port, err := net.SplitHostPort(*a.addr)
		n, err2 := strconv.Atoi(port)
		if err != nil || err2 != nil || n < 0 || n+o.nodes-1 > 65535 {
			return fmt.Errorf("flag -%s: %q is not an address and port, with room for %d ports", a.name, *a.addr, o.nodes)
		}
	}
	return nil
}

// following is the address i ports further; port 0 stays: each node gets one.
func following(addr string, i int) string {
	host, port, _ := net.SplitHostPort(addr) // checked by ports
	n, _ := strconv.Atoi(port)
	if n != 0 {
		n += i
	}
	return net.JoinHostPort(host, strconv.Itoa(n))
}

const votersMost = 5 // more make takes slower

// nodeName is the name of one of several nodes in this process.
func nodeName(i int) string { return fmt.Sprintf("node%d", i+1) }

// list splits a flag at its commas.
func list(text string) (parts []string) {
	for p := range strings.SplitSeq(text, ",") {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// splitOf reads the names that policy files use.
func splitOf(name string) (limiter.Split, error) {
	for _, s := range []limiter.Split{limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum} {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("is not full, share or quorum")
}

// dialectOf reads the names that policy files use. None at all is the policy's default.
func dialectOf(names []string) (sum middleware.Dialect, err error) {
	words := map[string]middleware.Dialect{
		"x-ratelimit":         middleware.XRateLimit,
		"x-ratelimit-seconds": middleware.XRateLimitSeconds,
		"ietf":                middleware.IETF,
		"none":                middleware.NoHeaders,
	}
	for _, name := range names {
		d, ok := words[name]
		if !ok {
			return 0, fmt.Errorf("has %q, which is not x-ratelimit, x-ratelimit-seconds, ietf or none", name)
		}
		sum |= d
	}
	p := middleware.ReferencePolicy()
	p.Dialects = sum
	if p.Check() != nil {
		return 0, fmt.Errorf("has forms that exclude each other")
	}
	return sum, nil
}
