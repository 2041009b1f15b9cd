package clustertest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// The oracle judges a history. It saw every request and its answer and every fault,
// and knows how windows tile time; what nodes count and think it does not know.
type oracle struct {
	h        *history
	troubles []trouble
	grids    []grid
	windows  map[windowKey]*window
	slow     []*take        // calls during which something may have timed out
	sure     map[*take]bool // what certain has said
	wrong    []string
	checked  int // answers that could be judged exactly
}

// grid is how the windows of one budget lie in time: the distance from the bubble's
// time to cluster time, from some moment on.
type grid struct {
	from   time.Time
	budget int
	shift  int64
	lost   bool // nobody said where windows lie since
	unsure time.Duration
	again  bool // clocks only drift: what was counted before is where it was
}

// window is all that was asked of one budget in one of its windows.
type window struct {
	budget     int
	start, end time.Time
	unsure     time.Duration // of its end
	takes      []*take       // in the order in which they were answered
	strays     []*take       // of the window before, that may have been counted here as well
	gives      []*take
}

type windowKey struct {
	budget int
	end    int64
}

const (
	driftMost  = 400                    // ppm between two clocks
	clockError = 100 * time.Millisecond // between two nodes' ideas of cluster time
	hopTimeout = 20 * time.Millisecond  // a call that took no longer has not timed out anywhere
	hopsMost   = 3                      // nodes that may have counted one take
	heldTime   = 3 * time.Second        // how long a wire may hold what was sent before a cut
)

// judge returns what is wrong with a history, and how many answers were judged.
func judge(h *history) (wrong []string, checked int) {
	if h.failed != "" {
		return []string{h.failed}, 0
	}
	o := &oracle{h: h, troubles: h.troubles(), windows: map[windowKey]*window{}, sure: map[*take]bool{}}
	slices.SortFunc(h.takes, func(a, b *take) int {
		return cmp.Or(a.to.Compare(b.to), a.from.Compare(b.from))
	})
	for _, x := range slices.Concat(h.takes, h.gives) {
		if x.slow(h.s) {
			o.slow = append(o.slow, x)
		}
	}
	o.calls()
	o.makeGrids()
	for _, x := range h.takes {
		o.place(x)
	}
	for _, g := range h.gives {
		if w := o.windowAt(g.budget, g.from.Add(g.d.ResetAfter)); w != nil {
			w.gives = append(w.gives, g)
		}
	}
	for _, w := range o.windows {
		o.total(w)
		o.oneByOne(w)
		o.throttled(w)
	}
	o.agreement()
	o.buckets()
	slices.Sort(o.wrong)
	return o.wrong, o.checked
}

func (o *oracle) fault(x *take, format string, args ...any) {
	b := o.h.s.budgets[x.budget]
	o.wrong = append(o.wrong, fmt.Sprintf("%v node %d, %v, cost %d during %q: ",
		x.from.Format("15:04:05.000"), x.node, b, x.cost, x.at)+fmt.Sprintf(format, args...))
}

// calls checks what holds for every call: an answer, in time.
func (o *oracle) calls() {
	for _, x := range slices.Concat(o.h.takes, o.h.gives) {
		took := x.to.Sub(x.from)
		switch {
		case x.orphan && (x.err == nil || gone(x.err)):
		case x.err != nil:
			o.fault(x, "the error is %v", x.err)
		case took > o.h.s.callMax(x, o.peaceful(x))+grain:
			o.fault(x, "the answer took %v", took)
		case x.d.Remaining < 0 || x.d.ResetAfter < 0 || x.d.Allowed != (x.d.RetryAfter == 0):
			o.fault(x, "the answer is %+v", x.d)
		case x.d.Degraded && o.peaceful(x) && o.complete(x):
			o.fault(x, "the answer is degraded, in peace")
		}
	}
}

// callMax is how long a take may take: as long as who holds and each successor may need, the
// next owner as well while members come and go, and at last this node itself, if it asks the
// voters.
func (s *schedule) callMax(x *take, peaceful bool) time.Duration {
	quorum, each, most := s.budgets[x.budget].lim.Split == limiter.SplitQuorum, callEach+8*s.oneWay(), time.Duration(2+s.replicas)*callMost
	if quorum {
		each, most = 2*callEach+10*s.oneWay(), most+callMost
	}
	if peaceful {
		return time.Duration(1+s.replicas) * each
	}
	return most
}

// peaceful says whether no fault was in force while a call was under way.
func (o *oracle) peaceful(x *take) bool {
	for _, t := range o.troubles {
		if touches(x, t.from, t.to) {
			return false
		}
	}
	return true
}

// touches says whether a call was under way in a time, to the very instant: what
// happens at one instant of virtual time happens in any order.
func touches(x *take, from, to time.Time) bool {
	return !x.to.Before(from) && !x.from.After(to)
}

// complete says whether no known node has been missing since the last time of peace:
// where one is, share and quorum hold something back for it.
func (o *oracle) complete(x *take) bool {
	if o.h.s.budgets[x.budget].lim.Split == limiter.SplitFull {
		return true
	}
	since := time.Time{}
	for _, at := range o.h.peace {
		if !at.After(x.from) {
			since = at
		}
	}
	running, voters := 0, o.quorum(x.budget)
	for _, l := range o.h.starts {
		if voters && l.node >= o.h.s.nodes {
			continue
		}
		if !l.from.After(since) && (l.to.IsZero() || l.to.After(x.to)) {
			running++
		}
	}
	return running >= o.h.s.nodes
}

// certain says whether a call did not fail anywhere on its way, and so was counted
// once. Where it is not, one more node may have counted it, and its caller never knew:
// when a call times out, others on the same connection fail at once.
func (o *oracle) certain(x *take) bool {
	sure, known := o.sure[x]
	if !known {
		sure = o.untroubled(x)
		o.sure[x] = sure
	}
	return sure
}

// untroubled finds out what certain says.
func (o *oracle) untroubled(x *take) bool {
	if x.orphan || x.slow(o.h.s) {
		return false
	}
	for _, t := range o.troubles {
		if t.messy && touches(x, t.from, t.to) {
			return false
		}
	}
	for _, e := range o.h.events {
		after := hopTimeout
		switch e.op {
		case opSplit, opHeal, opPause, opResume, opStall:
			after = heldTime
		}
		if (e.isFault() || after == heldTime) && touches(x, e.from, e.to.Add(after)) {
			return false
		}
	}
	for _, y := range o.slow {
		if y.node == x.node && touches(x, y.to, y.to.Add(hopTimeout)) {
			return false
		}
	}
	return true
}

// slow says whether a call took so long that something on its way may have timed out.
func (x *take) slow(s *schedule) bool { return x.to.Sub(x.from) > hopTimeout+2*s.oneWay() }

// makeGrids finds out where windows begin: from the clock of the first node, which
// all others follow, and after a clock jumped, from what the nodes say then.
func (o *oracle) makeGrids() {
	for b := range o.h.s.budgets {
		g := grid{budget: b, shift: int64(o.h.s.skews[0])}
		if o.h.s.weather.together { // nobody knows which of them was the first: they are asked before all else
			g = o.gridAfter(b, time.Time{})
		}
		o.grids = append(o.grids, g)
	}
	for _, t := range o.troubles {
		if !t.clock {
			continue
		}
		for b := range o.h.s.budgets {
			o.grids = append(o.grids, o.gridAfter(b, t.to))
		}
	}
	if !o.h.s.drifts() {
		return
	}
	for _, at := range o.h.peace {
		for b := range o.h.s.budgets {
			if g := o.gridAfter(b, at); !g.lost && !slices.ContainsFunc(o.troubles, func(t trouble) bool { return t.clock && t.to.Equal(at) }) {
				g.again = true
				o.grids = append(o.grids, g)
			}
		}
	}
	slices.SortStableFunc(o.grids, func(a, b grid) int { return a.from.Compare(b.from) })
}

// gridAfter is how the windows of a budget lie in time, as the nodes say when they are asked
// next: all are, so also who decides, which says what is true when it says it. Of how long ago
// an answer was true that took its time, nothing is known.
func (o *oracle) gridAfter(b int, at time.Time) grid {
	x := o.h.s.budgets[b]
	var by *take
	for _, y := range o.h.takes {
		if y.budget != b || y.from.Before(at) || y.look == 0 || y.d.Degraded || y.err != nil || by != nil && y.look > by.look {
			continue
		}
		if by == nil || y.to.Sub(y.from) < by.to.Sub(by.from) {
			by = y
		}
	}
	if by == nil || x.lim.Algorithm != limiter.FixedWindow {
		return grid{from: at, budget: b, lost: true}
	}
	end := by.to.Add(by.d.ResetAfter).UnixNano()
	g := grid{from: at, budget: b, shift: (x.phase() - end) % int64(x.lim.Window)}
	if x.lim.Split == limiter.SplitQuorum { // who decides asks the voters first, and it may be just before or after that
		g.unsure = by.to.Sub(by.from)
	}
	return g
}

// clockError is how much two nodes' ideas of cluster time, or its and the oracle's, may
// differ in what is said at one moment of another. Where clocks drift, they do so since the
// oracle was told the time.
func (o *oracle) clockError(b int, at, of time.Time) time.Duration {
	// Of a wire's jitter, half may be taken for a difference of clocks, at either node.
	least := clockError + o.h.s.weather.jitter
	if !o.h.s.drifts() {
		return least
	}
	since := o.h.starts[0].from
	for _, g := range o.grids {
		if g.budget == b && !g.from.After(at) && !g.lost && g.from.After(since) {
			since = g.from
		}
	}
	return least + of.Sub(since)*driftMost/1e6
}

// inLedger is what a ledger knows of a limit.
func inLedger(l *limiter.Limit) *ledger.Limit {
	return &ledger.Limit{Quota: l.Quota, Window: l.Window, Burst: l.Burst, Algorithm: ledger.Algorithm(l.Algorithm)}
}

// idOf is a budget's id in a cluster without a secret.
func idOf(key string, l *limiter.Limit) ledger.ID {
	return ledger.NewHasher(nil).ID(key, l.Window, ledger.Algorithm(l.Algorithm))
}

// windowStart is when the window of a budget began in which now lies, in cluster time.
func windowStart(key string, l *limiter.Limit, now int64) int64 {
	return ledger.WindowStart(idOf(key, l), inLedger(l), now)
}

// phase is where in cluster time the windows of a budget begin.
func (b budget) phase() int64 {
	return windowStart(b.key, &b.lim, 0)
}

// windowAt is the window of a budget whose end is nearest to a moment; nil if it
// reaches into a time in which nodes had clocks of their own.
func (o *oracle) windowAt(b int, end time.Time) *window {
	var g grid
	var stepped time.Time // when clocks jumped last
	for _, x := range o.grids {
		if x.budget == b && !x.from.After(end) {
			if g = x; !x.again {
				stepped = x.from
			}
		}
	}
	if g.lost {
		return nil
	}
	l := o.h.s.budgets[b]
	w, into := int64(l.lim.Window), end.UnixNano()+g.shift-l.phase()
	into = (into%w + w) % w
	if into > w/2 {
		into -= w
	}
	at := end.Add(-time.Duration(into))
	start := at.Add(-l.lim.Window)
	// What was counted before a clock moved has moved along, and may lie in a window that
	// has begun since.
	moved := !stepped.IsZero() && start.Before(stepped.Add(l.lim.Window))
	if moved || o.ownClocks(start, at) {
		return nil
	}
	if w := o.drifted(b, at); w != nil {
		return w
	}
	k := windowKey{b, at.UnixNano()}
	if o.windows[k] == nil {
		o.windows[k] = &window{budget: b, start: start, end: at, unsure: g.unsure}
	}
	return o.windows[k]
}

// drifted is the window that ends at a moment, as it was known before clocks drifted on.
func (o *oracle) drifted(b int, end time.Time) *window {
	if !o.h.s.drifts() {
		return nil
	}
	for _, w := range o.windows {
		if w.budget == b && w.end.Sub(end).Abs() < w.end.Sub(w.start)/4 {
			return w
		}
	}
	return nil
}

func (o *oracle) ownClocks(from, to time.Time) bool {
	for _, t := range o.troubles {
		if t.clock && from.Before(t.to) && to.After(t.from) {
			return true
		}
	}
	return false
}

// place puts a take into its window. The answer of a fixed window tells when that
// ends, and must be right about it.
func (o *oracle) place(x *take) {
	l := o.h.s.budgets[x.budget].lim
	switch {
	case l.Algorithm == limiter.TokenBucket || x.err != nil || o.ownClocks(x.from, x.to):
		return
	case l.Algorithm == limiter.SlidingWindow || x.d.Degraded && !x.d.Allowed:
		w := o.windowAt(x.budget, x.from.Add(l.Window/2))
		if e := o.clockError(x.budget, x.to, x.to); w != nil && x.from.Add(-e).After(w.start) && x.to.Add(e).Before(w.end) {
			w.takes = append(w.takes, x)
		}
		return
	}
	end := x.to.Add(x.d.ResetAfter)
	w := o.windowAt(x.budget, end)
	if w == nil {
		return
	}
	slack := x.to.Sub(x.from) + o.clockError(x.budget, x.to, end) // what is left of the window will drift as well
	slack += w.unsure
	if l.Lease != limiter.LeaseOff { // when a lease ends counts from when it was asked for
		slack += o.h.s.oneWay()
	}
	if asked := (&take{node: x.node, from: x.from.Add(-heldTime - time.Second), to: x.to}); x.d.Path == limiter.PathLeased && !o.untroubled(asked) {
		slack += heldTime // that may have been held up
	}
	if off := end.Sub(w.end); off.Abs() > slack {
		o.fault(x, "the window ends %v from where it should, at %v", off, w.end.Format("15:04:05.000"))
	}
	w.takes = append(w.takes, x)
	if next := x.to.Add(heldTime + time.Second); !o.certain(x) && next.After(w.end) {
		if w := o.windowAt(x.budget, w.end.Add(l.Window)); w != nil {
			w.strays = append(w.strays, x)
		}
	}
}
