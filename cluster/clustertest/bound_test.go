package clustertest

import (
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
)

// How much may be admitted in one window, from the faults that happened in and before
// it: the table of what may go wrong, as arithmetic. Nothing here comes from a node.

// trouble is the time from a first fault to the moment when the cluster was whole
// again, the clocks agreed, and everything was shipped.
type trouble struct {
	from, to time.Time
	splits   []event
	losses   []loss
	voters   int  // that were lost
	messy    bool // of a kind for which only the general bound holds
	clock    bool // nodes had clocks of their own
	gentle   bool // answers were late, and nothing else happened
	cutOff   bool // while the events are gone through: a split is in force
	// Nodes that came while something was broken. Until they have been told what was spent
	// or whom to ask, they may decide alone, each by its share.
	strangers int
}

// loss is what a process that ended may have taken with it: what was admitted after
// from and before at. What a paused one knows is only missed until the trouble ends.
type loss struct {
	from, at time.Time
	late     bool
}

const (
	denyMax    = time.Second            // for how long a denial is remembered
	flushLag   = 150 * time.Millisecond // FlushInterval, the way, and the wait for a connection
	noticeTime = 25 * time.Second       // for all nodes of a small side to notice a split
)

// troubles finds the times of trouble in a history.
func (h *history) troubles() (all []trouble) {
	var now *trouble
	var events []event
	peace := h.peace
	for _, e := range h.events {
		if e.op == opSettle {
			if now != nil && len(peace) > 0 {
				now.to, now.clock, now.gentle = peace[0], movesClock(h.s, events), gentle(events)
				all = append(all, *now)
			}
			peace, now, events = peace[min(1, len(peace)):], nil, nil
			continue
		}
		events = append(events, e)
		if now == nil && !e.isFault() {
			continue
		}
		first := now == nil
		if first {
			now = &trouble{from: e.from}
		}
		now.add(e, first, flushLag+4*h.s.oneWay(), h.s.nodes)
	}
	if now != nil {
		now.to, now.clock = time.Now(), movesClock(h.s, events)
		all = append(all, *now)
	}
	return all
}

func (t *trouble) add(e event, first bool, lag time.Duration, voters int) {
	switch e.op {
	case opSplit:
		t.messy = t.messy || len(t.splits) > 0 || !first
		t.splits, t.cutOff = append(t.splits, e), true
	case opKill, opCrash, opLeave, opPause:
		if e.op != opPause && e.node < voters {
			t.voters++
		}
		// A node that goes out of peace has shipped all but its last flush. If there was
		// trouble already, there may be no copy of anything.
		l := loss{at: e.to, late: e.op == opPause}
		if first {
			l.from = e.from.Add(-lag)
		}
		t.losses = append(t.losses, l)
	case opResume: // both it and its successor decide, until they have met
		t.losses = append(t.losses, loss{from: e.from.Add(-lag), at: e.to.Add(time.Hour), late: true})
	case opStall: // its successor decides, and it does not know of that until they have met
		t.losses = append(t.losses, loss{from: e.from.Add(-lag), at: e.to.Add(lag), late: true})
	case opStillborn: // it may have been asked, and not have shipped
		t.losses = append(t.losses, loss{from: e.from.Add(-lag), at: e.to})
	case opHeal:
		t.cutOff = false
	case opRestart:
		if e.moved || e.named {
			t.strangers++
		}
	case opJoin:
		if n := len(t.splits); len(e.sides) == 0 || e.from.Before(t.splits[n-1].to.Add(noticeTime)) {
			t.strangers++
		}
		if t.cutOff && len(e.sides) == 0 { // it is on a side of its own
			last := &t.splits[len(t.splits)-1]
			last.sides = append(slices.Clone(last.sides), []int{e.node})
		}
	case opCut, opWires, opJump:
		t.messy = true
	}
}

// mayForget is how much of a window's admissions may be unknown to a decider at a
// time, or, at the zero time, may ever have been.
func (o *oracle) mayForget(w *window, at time.Time) (sum int64) {
	for _, x := range w.takes {
		if x.d.Allowed && o.forgotten(x, at) {
			sum += x.cost
		}
	}
	return sum
}

func (o *oracle) forgotten(x *take, at time.Time) bool {
	for _, t := range o.troubles {
		if o.quorum(x.budget) && t.voters < o.h.s.nodes/2+1 {
			continue // a majority of the voters had it, and one of them has it still
		}
		if !at.IsZero() && t.from.After(at) {
			continue
		}
		for _, l := range t.losses {
			if !at.IsZero() && l.late && at.After(t.to) {
				continue
			}
			if x.to.After(l.from) && !x.from.After(l.at) && x.from.Before(t.to) { // at one instant, in any order
				return true
			}
		}
	}
	return false
}

// bound is the most that may be admitted in a window, apart from what is forgotten.
func (o *oracle) bound(w *window) int64 {
	b := o.h.s.budgets[w.budget].lim
	if b.Algorithm == limiter.TokenBucket { // all that it holds, and what is refilled meanwhile
		b.Quota = b.Capacity() + o.h.s.budgets[w.budget].refill(w.end.Sub(w.start)) + int64(o.h.s.nodes)
	}
	sum, most := b.Quota, int64(o.processes(w))*b.Quota
	for i := range o.troubles {
		t := &o.troubles[i]
		if !t.from.Before(w.end) || t.to.Before(w.start) {
			continue
		}
		if o.quorum(w.budget) && !t.clock && t.voters < o.h.s.nodes/2+1 {
			continue
		}
		if t.messy || t.clock {
			return most
		}
		if b.Lease != limiter.LeaseOff {
			// What was handed out in the last flush before a crash is spent after it.
			sum += int64(len(t.losses)) * b.Quota
		}
		for _, s := range t.splits {
			sum += o.extra(w, &b, &s)
		}
		sum += int64(t.strangers) * (b.Quota / 2) // of two nodes at least
	}
	return min(sum, most)
}

// quorum says whether a budget is one of those that the voters, which are the first nodes,
// agree on: nothing adds to it, and nothing of it is forgotten, unless a majority of them
// is lost.
func (o *oracle) quorum(budget int) bool {
	return o.h.s.budgets[budget].lim.Split == limiter.SplitQuorum
}

// extra is what a split adds: the other sides' quotas, or nothing once share and quorum
// have noticed. Until then each node of a small side may have decided alone as well.
func (o *oracle) extra(w *window, l *limiter.Limit, s *event) (sum int64) {
	noticed := w.start.After(s.to.Add(noticeTime))
	known, others := int64(o.h.s.nodes), int64(len(s.sides)-1)
	if l.Split == limiter.SplitFull {
		sum = others * l.Quota
	} else if !noticed {
		sum = shares(s.sides, l.Quota, known)
	}
	if !noticed {
		sum += known * (l.Quota / known)
	}
	return sum
}

// shares is the most that the sides without the holder may admit: as much of the quota
// as they are of the known nodes. Any side may have been the holder's.
func shares(sides [][]int, quota, known int64) (most int64) {
	for holder := range sides {
		sum := int64(0)
		for i, side := range sides {
			if i != holder {
				sum += quota * int64(len(side)) / known
			}
		}
		most = max(most, sum)
	}
	return most
}

// processes is how many may have admitted something in a window.
func (o *oracle) processes(w *window) (n int) {
	for _, l := range o.h.starts {
		if l.from.Before(w.end) && (l.to.IsZero() || l.to.After(w.start)) {
			n++
		}
	}
	return n
}
