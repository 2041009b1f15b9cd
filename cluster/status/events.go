package status

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

const (
	// generation is how long one set of counts runs. What is shown is the last whole one and the one
	// that runs: so it is of the last 5 to 10 minutes.
	generation = 5 * time.Minute
	rulesMost  = 500 // names of rules that are told apart; those of more count as otherRule
	otherRule  = "(other rules)"
	nameMost   = 200 // bytes of a subject's name
)

// paths are the ways of decisions, in the order of the charts; the last is for those without one.
var paths = [...]string{"held", "leased", "remembered", "forwarded", "degraded", "none"}

var pathAt = [...]int{limiter.PathHeld: 0, limiter.PathLeased: 1, limiter.PathRemembered: 2, limiter.PathForwarded: 3, limiter.PathDegraded: 4}

const pathNone = len(paths) - 1

// counted is what the events of one generation come to.
type counted struct {
	began         time.Time
	rules         map[string]*ruleCount
	taken, denied *sketch
}

// ruleCount is what became of one rule's decisions.
type ruleCount struct{ admitted, denied, refused int64 }

// events are what OnDecision heard. What it costs is one lock, and some three lookups.
type events struct {
	mu     sync.Mutex // guards the rest
	keys   int        // counters of a sketch
	names  bool       // subjects are kept
	byPath [len(paths)]int64
	now    counted
	before counted // zero in the first generation
	limits map[string]limiter.Limit
}

func (e *events) begin(at time.Time) {
	e.before, e.now = e.now, counted{at, map[string]*ruleCount{}, newSketch(e.keys), newSketch(e.keys)}
}

// turn begins another generation when it is time for that.
func (e *events) turn(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.Sub(e.now.began) >= generation {
		e.begin(at)
	}
}

// hear counts one event.
func (e *events) hear(v *middleware.Event) {
	name := ""
	if e.names {
		name = shortened(v.Subject)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if v.Verdict == middleware.Returned {
		return // it was counted when it was taken, or took nothing
	}
	e.byPath[pathOf(v)]++
	r, of := e.rule(v), subject{v.Rule, v.KeyID}
	switch v.Verdict {
	case middleware.Admitted:
		r.admitted++
		if v.Cost > 0 {
			e.now.taken.add(of, name, v.Cost)
		}
	case middleware.Denied, middleware.Banned:
		r.denied++
		e.now.denied.add(of, name, 1)
	case middleware.Unavailable, middleware.KeyMissing, middleware.Blocked:
		r.refused++
	}
}

// rule is where a rule's decisions are counted, and notes its limit.
func (e *events) rule(v *middleware.Event) *ruleCount {
	r := e.now.rules[v.Rule]
	if r == nil {
		name := v.Rule
		if len(e.now.rules) >= rulesMost {
			name = otherRule
		}
		if r = e.now.rules[name]; r == nil {
			r = new(ruleCount)
			e.now.rules[name] = r
		}
	}
	if l, ok := e.limits[v.Rule]; !ok && len(e.limits) < rulesMost || ok && l.Capacity() < v.Limit.Capacity() {
		e.limits[v.Rule] = v.Limit
	}
	return r
}

// pathOf is the place of an event's path in paths.
func pathOf(v *middleware.Event) int {
	switch v.Verdict {
	case middleware.KeyMissing, middleware.Canceled, middleware.Blocked:
		return pathNone
	}
	if v.Err != nil && v.Decision == (limiter.Decision{}) || int(v.Path) >= len(pathAt) {
		return pathNone
	}
	return pathAt[v.Path]
}

// shortened is a copy of a name, cut if it is long.
func shortened(name string) string {
	if len(name) > nameMost {
		return strings.ToValidUTF8(name[:nameMost], "") + "…"
	}
	return strings.Clone(name)
}

// compareCounters orders by count, the largest first, and equal ones so that a page does not flicker.
func compareCounters(a, b counter) int {
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.rule, b.rule), cmp.Compare(a.id, b.id))
}
