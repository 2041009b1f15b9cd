package clustertest

import (
	"math"
	"time"

	"github.com/weir-go/weir/limiter"
)

// What must hold, of a window, of each answer, and between the answers of all nodes.

// admitted is the sum of what a window's callers were granted.
func (w *window) admitted() (sum int64) {
	for _, x := range w.takes {
		if x.d.Allowed && !x.orphan {
			sum += x.cost
		}
	}
	return sum
}

// total checks the bound of a whole window, faults and all.
func (o *oracle) total(w *window) {
	if len(w.takes) == 0 {
		return
	}
	sum, back := w.admitted(), int64(0)
	for _, g := range w.gives {
		back += g.cost
	}
	for _, y := range w.takes {
		if y.d.Allowed && o.earlier(w, y) {
			sum -= y.cost
		}
	}
	bound, lost := o.bound(w), o.mayForget(w, time.Time{})
	if sum > bound+lost+back {
		o.fault(w.takes[0], "%d were admitted in the window from %v to %v, at most %d may be: %d, %d that may be forgotten, %d given back",
			sum, w.start.Format("15:04:05.000"), w.end.Format("15:04:05.000"), bound+lost+back, bound, lost, back)
	}
}

// earlier says whether a take may have been counted in the window before the one of which its answer
// speaks: it was sent twice, and who had counted it answered the second time.
func (o *oracle) earlier(w *window, y *take) bool { return y.from.Before(w.start) && !o.certain(y) }

// spent is what a decider knew of a window when it answered x: at least and at most.
func (o *oracle) spent(w *window, x *take) (least, most int64) {
	for _, y := range w.strays {
		most += hopsMost * y.cost
	}
	for _, y := range w.takes {
		if y == x || y.look > 0 || y.from.After(x.to) {
			continue
		}
		if y.d.Allowed {
			most += y.cost
		}
		if !o.certain(y) && !o.countedOnce(y, x.from) { // counted elsewhere as well
			most += hopsMost * y.cost
		}
		if y.d.Allowed && !y.orphan && y.to.Before(x.from) && !o.earlier(w, y) {
			least += y.cost
		}
	}
	for _, g := range w.gives {
		if !g.from.After(x.to) {
			least -= g.cost
		}
		heard := g.to
		if g.node != x.node && !x.d.Allowed && x.cost > 0 {
			heard = g.to.Add(denyMax) // a denial may be remembered where nobody gave anything back
		}
		if heard.Before(x.from) && o.certain(g) && o.peaceful(g) {
			most -= g.cost
		}
	}
	if o.leaseLost(w) { // or the owner forgot what it had just leased, and others spend it
		least, most = 0, math.MaxInt32
	}
	return max(0, least-o.mayForget(w, x.from)), most
}

// leaseLost says whether a part of the budget may be withheld for the rest of a window,
// since a node ended that leased it, or the refund of what it leased was lost.
func (o *oracle) leaseLost(w *window) bool {
	if o.h.s.budgets[w.budget].lim.Lease == limiter.LeaseOff {
		return false
	}
	for _, t := range o.troubles {
		if t.from.Before(w.end) && t.to.After(w.start) && len(t.losses) > 0 {
			return true
		}
	}
	return false
}

// oneByOne checks each answer that was given in peace: nothing is admitted beyond the
// quota, nothing denied within it, and what remains is exactly right.
func (o *oracle) oneByOne(w *window) {
	l := o.h.s.budgets[w.budget].lim
	for _, x := range w.takes {
		if x.orphan || !o.peaceful(x) {
			continue
		}
		least, most := o.spent(w, x)
		if x.d.Allowed && x.look == 0 && least+x.cost > l.Quota {
			o.fault(x, "admitted, although at least %d of %d were spent", least, l.Quota)
		}
		if l.Algorithm != limiter.FixedWindow || !o.complete(x) {
			continue
		}
		o.checked++
		if !x.d.Allowed && most+max(1, x.cost) <= l.Quota {
			o.fault(x, "denied, although at most %d of %d were spent", most, l.Quota)
		}
		if x.d.Allowed {
			least, most = least+x.cost, most+x.cost
		}
		if l.Lease != limiter.LeaseOff && x.look == 0 {
			most = l.Quota // what is leased does not remain
		}
		if r := x.d.Remaining; r > max(0, l.Quota-least) || r < max(0, l.Quota-most) {
			o.fault(x, "%d remain, but %d to %d of %d are spent", r, least, most, l.Quota)
		}
	}
}

// agreement checks that all nodes say the same when all looked and nobody took.
func (o *oracle) agreement() {
	for b, x := range o.h.s.budgets {
		for round := range o.h.peace {
			lo, hi := int64(math.MaxInt64), int64(-1)
			var first, last *take
			for _, y := range o.h.takes {
				if y.look != round+1 || y.budget != b || y.orphan || !o.complete(y) {
					continue
				}
				if first == nil {
					first = y
				}
				last = y
				lo, hi = min(lo, y.d.Remaining), max(hi, y.d.Remaining)
			}
			if first == nil || x.turnsSoon(first, last.to.Sub(first.from)) {
				continue
			}
			if slack := x.refill(last.to.Sub(first.from) + 100*time.Millisecond); hi-lo > slack {
				o.fault(first, "the nodes do not agree on what remains: %d to %d", lo, hi)
			}
		}
	}
}

// turnsSoon says whether a window may end while the nodes are being asked, which takes so long.
func (b budget) turnsSoon(x *take, long time.Duration) bool {
	return b.lim.Algorithm == limiter.FixedWindow && (x.d.ResetAfter < time.Second+long || b.lim.Window-x.d.ResetAfter < time.Second)
}

// refill is how much of a budget comes back in a time, rounded up.
func (b budget) refill(d time.Duration) int64 {
	if b.lim.Algorithm == limiter.FixedWindow {
		return 0
	}
	return int64(d)*b.lim.Quota/int64(b.lim.Window) + 1
}
