package policyfile

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// rule reads one rule. Name, quota and window, or rate for the two, are never guessed: a rule
// that forgot one of them would be another limit than its author meant. All else has the
// default of the Go API, which is the zero value there as well.
func (d *decoder) rule(path string, n *yaml.Node) middleware.Rule {
	m := d.mapping(path, n)
	m.require("name")
	switch {
	case m.fields["rate"] != nil:
	case m.fields["align"] != nil:
		m.require("quota")
	default:
		m.require("quota", "window")
	}
	r := middleware.Rule{
		Name:  m.text("name"),
		Limit: d.limit(m, limiter.Limit{}),
		Absent: choice(m, "absent", middleware.AbsentShared, map[string]middleware.Absent{
			"shared": middleware.AbsentShared,
			"deny":   middleware.AbsentDeny,
			"skip":   middleware.AbsentSkip,
		}),
		Outage: choice(m, "outage", middleware.OutageLocal, map[string]middleware.Outage{
			"local":  middleware.OutageLocal,
			"open":   middleware.OutageOpen,
			"closed": middleware.OutageClosed,
		}),
		Shadow: m.flag("shadow"),
		Count:  d.count(m),
	}
	if n := m.get("key"); n != nil {
		r.Key = d.key(m.at("key"), n)
	}
	if n := m.get("plan"); n != nil {
		r.Plan = d.key(m.at("plan"), n)
	}
	if n := m.get("plans"); n != nil {
		r.Plans = d.plans(m.at("plans"), n, r.Limit)
	}
	if n := m.get("limit"); n != nil {
		r.LimitOf = custom(d, m.at("limit"), n, d.options.Limits, "limits")
	}
	if n := m.get("ban"); n != nil {
		r.Ban = d.ban(m.at("ban"), n)
	}
	d.cost(m, &r)
	m.done()
	return r
}

// limit reads the fields of a limit; absent ones are those of base. Whether the values go
// together (a burst is for token buckets only, a window has bounds) is judged once, by
// the check of the whole policy, so that Go and file cannot come to differ.
func (d *decoder) limit(m *mapping, base limiter.Limit) limiter.Limit {
	l := limiter.Limit{
		Quota:  m.number("quota"),
		Window: m.duration("window", base.Window),
		Burst:  base.Burst,
		Algorithm: choice(m, "algorithm", base.Algorithm, map[string]limiter.Algorithm{
			limiter.FixedWindow.String():   limiter.FixedWindow,
			limiter.SlidingWindow.String(): limiter.SlidingWindow,
			limiter.TokenBucket.String():   limiter.TokenBucket,
		}),
		Split: choice(m, "split", base.Split, map[string]limiter.Split{
			limiter.SplitDefault.String(): limiter.SplitDefault,
			limiter.SplitFull.String():    limiter.SplitFull,
			limiter.SplitShare.String():   limiter.SplitShare,
			limiter.SplitQuorum.String():  limiter.SplitQuorum,
		}),
		Lease: choice(m, "lease", base.Lease, map[string]limiter.Lease{
			limiter.LeaseAuto.String():   limiter.LeaseAuto,
			limiter.LeaseOff.String():    limiter.LeaseOff,
			limiter.LeaseAlways.String(): limiter.LeaseAlways,
		}),
		Align: choice(m, "align", base.Align, map[string]limiter.Align{
			limiter.AlignDay.String():   limiter.AlignDay,
			limiter.AlignWeek.String():  limiter.AlignWeek,
			limiter.AlignMonth.String(): limiter.AlignMonth,
		}),
		Zone: base.Zone,
	}
	if m.get("zone") != nil {
		l.Zone = m.text("zone")
	}
	if n := m.get("rate"); n != nil {
		d.rate(m, n, &l)
	}
	// In Go a burst of 0 means "as much as the quota". In a file nobody writes that, and a 0
	// is rather meant as "no bursts", which a token bucket cannot give.
	if n := m.get("burst"); n != nil {
		if l.Burst = d.number(m.at("burst"), n); l.Burst < 1 {
			d.fail(m.at("burst"), n, "is not at least 1")
		}
	}
	return l
}

// rate reads the short form of quota and window, such as 100/m, 5/s or 1000/15m. What the check
// of the policy finds wrong with either is told of this field.
func (d *decoder) rate(m *mapping, n *yaml.Node, l *limiter.Limit) {
	at := m.at("rate")
	if m.fields["quota"] != nil || m.fields["window"] != nil {
		d.fail(at, n, "excludes quota and window: it says both")
		return
	}
	var ok bool
	if l.Quota, l.Window, ok = perWindow(n.Value); !isString(n) || !ok {
		d.fail(at, n, "is not a rate such as 5/s, 100/m, 1000/h or 20/15m")
	}
	for _, field := range []string{m.at("quota"), m.at("window")} {
		d.lines[field], d.written[field], d.spelt[field] = line(n), at, shown(n)
	}
}

// ban reads how a rule bans. Its bounds are the policy's to check.
func (d *decoder) ban(path string, n *yaml.Node) middleware.Ban {
	m := d.mapping(path, n)
	m.require("after", "for")
	b := middleware.Ban{After: m.number("after"), For: m.duration("for", 0), Max: m.duration("max", 0)}
	m.done()
	if b == (middleware.Ban{}) && d.err == nil {
		d.fail(m.at("after"), m.fields["after"], "is not at least 1")
	}
	return b
}

// plans reads limits by the plan's name. Each says its quota; the rest is the rule's
// unless it says otherwise. They are read in the order of their names, which makes the
// first error always the same one.
func (d *decoder) plans(path string, n *yaml.Node, base limiter.Limit) map[string]limiter.Limit {
	names := d.mapping(path, n)
	plans := make(map[string]limiter.Limit, len(names.fields))
	for _, name := range slices.Sorted(maps.Keys(names.fields)) {
		m := d.mapping(names.at(name), names.get(name))
		if m.fields["rate"] == nil {
			m.require("quota")
		}
		plans[name] = d.limit(m, base)
		m.done()
	}
	if len(plans) == 0 {
		d.fail(path, n, "is empty")
	}
	return plans
}

// cost reads a number, or {custom: NAME} for a function of the program's. A cost of 0 is
// refused: in Go it means 1, and who writes it into a file means that the request is free,
// which is what an exempt route is for.
func (d *decoder) cost(m *mapping, r *middleware.Rule) {
	n, path := m.get("cost"), m.at("cost")
	if n == nil || n.Kind != yaml.MappingNode {
		if r.Cost = d.number(path, n); n != nil && r.Cost < 1 {
			d.fail(path, n, "is not at least 1")
		}
		return
	}
	r.CostOf = custom(d, path, n, d.options.Costs, "costs")
}

// custom reads {custom: NAME}, the name of one of the program's functions.
func custom[T any](d *decoder, path string, n *yaml.Node, all map[string]T, kind string) T {
	c := d.mapping(path, n)
	c.require("custom")
	one, ok := all[c.text("custom")]
	if !ok {
		d.fail(c.at("custom"), c.fields["custom"], "is not among the "+kind+" of the program")
	}
	c.done()
	return one
}

// count reads all, failures, or {statuses: [401, 403]}. A status that no response can have
// would be a rule that never counts, and is refused.
func (d *decoder) count(m *mapping) func(int) bool {
	n, path := m.get("count"), m.at("count")
	if n == nil || n.Kind != yaml.MappingNode {
		switch word := d.text(path, n); word {
		case "failures":
			return middleware.CountFailures
		case "", "all":
			if n != nil && word == "" {
				d.fail(path, n, "is not one of all, failures, {statuses: …}")
			}
		default:
			d.fail(path, n, "is not one of all, failures, {statuses: …}")
		}
		return nil
	}
	c := d.mapping(path, n)
	c.require("statuses")
	var statuses []int
	for i, one := range c.list("statuses") {
		at := fmt.Sprintf("%s.statuses[%d]", path, i)
		s := d.number(at, one)
		if s < 100 || s > 599 {
			d.fail(at, one, "is not a status within 100 to 599")
		}
		statuses = append(statuses, int(s))
	}
	c.done()
	return middleware.CountStatuses(statuses...)
}

// key reads a word such as client-ip, or a mapping of one kind such as {header: NAME}. Two
// kinds in one mapping are refused rather than joined: whether both must be there or
// either suffices is the difference between join and first, and has to be said.
func (d *decoder) key(path string, n *yaml.Node) middleware.Key {
	words := map[string]func() middleware.Key{
		"client-ip": middleware.ClientIP, "peer-ip": middleware.PeerIP, "bearer": middleware.Bearer,
		"subject": middleware.Subject, "shared": middleware.Shared,
	}
	if n == nil || n.Kind != yaml.MappingNode {
		if word, ok := words[d.text(path, n)]; ok {
			return word()
		}
		d.fail(path, n, "is not one of "+wordList(words)+", or a mapping such as {header: NAME}")
		return middleware.Key{}
	}
	m := d.mapping(path, n)
	if len(m.fields) != 1 {
		d.fail(path, n, "is not exactly one kind of key")
		return middleware.Key{}
	}
	k := d.keyKind(m)
	m.done()
	return k
}

// keyKind reads the one field of a key's mapping. Those that hold a name are made at once;
// what the name must be like is the key's own to check when the policy is bound.
func (d *decoder) keyKind(m *mapping) middleware.Key {
	named := map[string]func(string) middleware.Key{
		"header": middleware.Header, "cookie": middleware.Cookie,
		"path": middleware.PathValue, "claim": middleware.Claim,
	}
	for kind, key := range named {
		if m.get(kind) != nil {
			return key(m.text(kind))
		}
	}
	combined := map[string]func(...middleware.Key) middleware.Key{
		"join": middleware.Join, "first": middleware.FirstOf,
	}
	for kind, key := range combined {
		if m.get(kind) == nil {
			continue
		}
		var parts []middleware.Key
		for i, part := range m.list(kind) {
			parts = append(parts, d.key(fmt.Sprintf("%s[%d]", m.at(kind), i), part))
		}
		return key(parts...)
	}
	if n := m.get("client-ip"); n != nil {
		return middleware.ClientIPBy(d.address(m.at("client-ip"), n))
	}
	if n := m.get("custom"); n != nil {
		k, ok := d.options.Keys[m.text("custom")]
		if !ok {
			d.fail(m.at("custom"), n, "is not among the keys of the program")
		}
		return k
	}
	return middleware.Key{}
}
