package status

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

const topMost = 10 // keys that are shown of each list

// Report is what the page shows, as ?format=json gives it. Times are in seconds.
type Report struct {
	Node    string    `json:"node"`
	Addr    string    `json:"addr"`
	Version string    `json:"version"`
	Wire    string    `json:"wire"`
	At      time.Time `json:"at"`
	Ready   bool      `json:"ready"`
	Reasons []string  `json:"reasons"`
	// Failures are the rows of the failure table that apply right now, as far as this node has noticed.
	Failures []Failure `json:"failures"`
	Members  []Member  `json:"members"`
	Ring     Ring      `json:"ring"`
	// Rules are those of the middleware, over the last 5 to 10 minutes.
	Rules []Rule `json:"rules"`
	// Decisions are what the middleware's events tell, by path, and Takes what the node counts.
	Step      float64  `json:"step_seconds"`
	Decisions []Series `json:"decisions"`
	Takes     []Series `json:"takes"`
	Taken     Top      `json:"top_taken"`
	Denied    Top      `json:"top_denied"`
	Counters  []Count  `json:"counters"`
	// Explained is the answer to the form, and Done what it changed.
	Explained *Explained `json:"explained,omitempty"`
	Done      string     `json:"done,omitempty"`
}

// Member is a node as this one sees it.
type Member struct {
	Name        string  `json:"name"`
	Addr        string  `json:"addr"`
	Self        bool    `json:"self"`
	State       string  `json:"state"`
	Version     string  `json:"version"`
	Age         float64 `json:"age_seconds"`
	RoundTrip   float64 `json:"round_trip_seconds"`
	ClockOffset float64 `json:"clock_offset_seconds"`
	SameTime    bool    `json:"same_time"`
	// UnreachableFrom are the nodes that get no answer from it, as far as they answer this one.
	UnreachableFrom []string `json:"unreachable_from"`
	Owned           int      `json:"partitions_owned"`
	Share           float64  `json:"share"`
}

// Ring is how the partitions are spread.
type Ring struct {
	Partitions int   `json:"partitions"`
	Owned      int   `json:"owned_here"`
	Held       int   `json:"held_here"`
	Pending    int   `json:"pending_here"`
	Changes    int64 `json:"changes"`
}

// Rule is what became of one rule's decisions.
type Rule struct {
	Name     string `json:"name"`
	Key      string `json:"key"` // the kind of its key
	Limit    string `json:"limit"`
	Split    string `json:"split"`
	Admitted int64  `json:"admitted"`
	Denied   int64  `json:"denied"`  // 429
	Refused  int64  `json:"refused"` // 403 and 503
	// Share is its part of all denials.
	Share float64 `json:"share_of_denials"`
	// Overshoot is by how much more than its limit a budget could be admitted in the whole cluster right now.
	Overshoot int64 `json:"overshoot_bound"`
}

// Top is a list of keys by how much was counted for them.
type Top struct {
	// Total is of all keys. No count is too small, and none is too large by more than ErrorMost.
	Total     int64 `json:"total"`
	ErrorMost int64 `json:"error_at_most"`
	Keys      []Key `json:"keys"`
}

// Key is one budget in such a list: its count is between Count less Error and Count.
type Key struct {
	Rule    string `json:"rule"`
	ID      string `json:"id"`
	Subject string `json:"subject,omitempty"` // only with Config.ShowKeys
	Count   int64  `json:"count"`
	Error   int64  `json:"error"`
}

// askMost is for how long the page waits to hear who does not answer whom.
const askMost = time.Second

// unreachableFrom has for each node those that get no answer from it.
func (p *Page) unreachableFrom(ctx context.Context) map[string][]string {
	ctx, cancel := context.WithTimeout(ctx, askMost)
	defer cancel()
	from := map[string][]string{}
	told := p.node.Unreachable(ctx)
	for _, who := range slices.Sorted(maps.Keys(told)) {
		for _, name := range told[who] {
			from[name] = append(from[name], who)
		}
	}
	return from
}

// report makes a Report.
func (p *Page) report(ctx context.Context) *Report {
	s, c, at := p.node.Stats(), p.node.Condition(), time.Now()
	r := &Report{Node: p.node.Name(), Addr: p.node.Addr(), Version: cluster.Version, Wire: fmt.Sprint(cluster.Wire), At: at.UTC(),
		Ready: c.Ready, Reasons: c.Reasons, Failures: failures(&s, c), Step: step.Seconds(), Counters: p.counters(&s)}
	r.Ring = Ring{Partitions: cluster.Partitions, Held: s.Holding, Pending: s.Pending, Changes: s.RingChanges}
	from := p.unreachableFrom(ctx)
	for _, m := range p.node.Members() {
		r.Members = append(r.Members, Member{Name: m.Name, Addr: m.Addr, Self: m.Self, State: m.State, Version: m.Version,
			Age: m.Age.Seconds(), RoundTrip: m.RoundTrip.Seconds(), ClockOffset: m.ClockOffset.Seconds(), SameTime: m.SameTime,
			UnreachableFrom: append([]string{}, from[m.Name]...), Owned: m.Partitions, Share: float64(m.Partitions) / cluster.Partitions})
		if m.Self {
			r.Ring.Owned = m.Partitions
		}
	}
	all := p.history.until(p.sample(at, &s))
	r.Decisions = rates(all, paths[:], func(s *sample) []int64 { return s.paths[:] })
	r.Takes = rates(all, takers[:], func(s *sample) []int64 { return s.takes[:] })
	p.addEvents(r)
	return r
}

// addEvents adds what the middleware's events tell.
func (p *Page) addEvents(r *Report) {
	r.Rules = []Rule{}
	p.events.mu.Lock()
	now, before := &p.events.now, &p.events.before
	counts := map[string]ruleCount{}
	for _, of := range []*counted{before, now} {
		for name, x := range of.rules {
			c := counts[name]
			counts[name] = ruleCount{c.admitted + x.admitted, c.denied + x.denied, c.refused + x.refused}
		}
	}
	limits := maps.Clone(p.events.limits)
	r.Taken, r.Denied = topOf(before.taken, now.taken), topOf(before.denied, now.denied)
	p.events.mu.Unlock()

	kinds := map[string]string{}
	if g := p.guard.Load(); g != nil {
		for _, rule := range g.Rules() {
			kinds[rule.Name] = rule.Key.String()
			if _, known := limits[rule.Name]; !known {
				limits[rule.Name] = rule.Limit
			}
			if _, heard := counts[rule.Name]; !heard {
				counts[rule.Name] = ruleCount{}
			}
		}
	}
	denied := int64(0)
	for _, c := range counts {
		denied += c.denied
	}
	for name, c := range counts {
		rule := Rule{Name: name, Key: kinds[name], Admitted: c.admitted, Denied: c.denied, Refused: c.refused, Share: float64(c.denied) / float64(max(1, denied))}
		if l, ok := limits[name]; ok {
			rule.Limit, rule.Split = limitText(l), l.Split.String()
			if l.Quota > 0 {
				rule.Overshoot = p.node.Overshoot(l)
			}
		}
		r.Rules = append(r.Rules, rule)
	}
	slices.SortFunc(r.Rules, func(a, b Rule) int { return cmp.Or(cmp.Compare(b.Denied, a.Denied), cmp.Compare(a.Name, b.Name)) })
}

func topOf(all ...*sketch) Top {
	t := Top{Keys: []Key{}}
	for _, s := range all {
		if s != nil {
			t.Total += s.total
			t.ErrorMost += s.least()
		}
	}
	for _, c := range top(topMost, all...) {
		t.Keys = append(t.Keys, Key{Rule: c.rule, ID: idText(c.id), Subject: c.name, Count: c.count, Error: c.over})
	}
	return t
}

func idText(id uint64) string { return fmt.Sprintf("%016x", id) }

// limitText is a limit in words.
func limitText(l limiter.Limit) string {
	span := l.Window.String()
	if l.Align != limiter.AlignNone {
		span = l.Align.String()
		if l.Zone != "" {
			span += " in " + l.Zone
		}
	}
	text := fmt.Sprintf("%d per %s, %s", l.Quota, span, l.Algorithm)
	if l.Burst > 0 {
		text += fmt.Sprintf(", burst %d", l.Burst)
	}
	return text
}

// guardStats are the middleware's own counters, if it is known.
func (p *Page) guardStats() (s middleware.Stats, known bool) {
	g := p.guard.Load()
	if g == nil {
		return s, false
	}
	return g.Stats(), true
}
