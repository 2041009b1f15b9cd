package clustertest

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
)

// What must hold of token buckets. They are judged against one bucket that sees every
// token that callers were granted: its debt is known within bounds. Never may more be
// left than at the least debt, whatever failed before, as soon as it is over. Never may
// less be left than at the largest, which is that of one bucket, and a full one when a
// trouble ends: what was taken on several sides is not known to have been refilled.

// account is a bucket that sees tokens, by when it is full again.
type account struct {
	refill, full int64
	tat          int64
}

func (b budget) account() account {
	refill := (int64(b.lim.Window) + b.lim.Quota - 1) / b.lim.Quota
	return account{refill: refill, full: b.lim.Capacity() * refill}
}

func (a *account) take(at time.Time, n int64) {
	a.tat = max(a.tat, at.UnixNano()) + n*a.refill
}

// overflow is that more than a full bucket is never owed.
func (a *account) overflow(at time.Time) { a.tat = min(a.tat, at.UnixNano()+a.full) }

func (a *account) give(at time.Time, n int64) {
	a.tat = min(a.tat, max(at.UnixNano(), a.tat-n*a.refill))
}

// debt is how many tokens are missing at a moment, rounded down and up.
func (a *account) debt(at time.Time) (down, up int64) {
	ns := max(0, a.tat-at.UnixNano())
	return ns / a.refill, (ns + a.refill - 1) / a.refill
}

const (
	orderSlack = 200 * time.Millisecond // of calls that overlapped it is not known which came first
	leaseDelay = 800 * time.Millisecond // what is leased is counted when it is handed out, and spent or called back so much later
	leaseSpare = 400 * time.Millisecond // a slice lies idle for so long at most, while others take: lease.TestLeasedBucketsAreNearlyExact
)

// happening is something that an account sees.
type happening struct {
	at, known time.Time // when it counts, and from when on it must or may be counted
	do        func(a *account)
}

// buckets judges all answers about token buckets that were given in peace.
func (o *oracle) buckets() {
	for b, x := range o.h.s.budgets {
		if x.lim.Algorithm == limiter.TokenBucket {
			o.neverTooMuch(b)
			o.neverTooLittle(b)
			o.bucketTotals(b)
		}
	}
}

// replay shows an account what is known at the time of each answer, in order.
func replay(a account, all []happening, answers []*take, when func(*take) time.Time, judge func(x *take, a *account)) {
	slices.SortStableFunc(all, func(x, y happening) int { return x.known.Compare(y.known) })
	slices.SortStableFunc(answers, func(x, y *take) int { return cmp.Compare(when(x).UnixNano(), when(y).UnixNano()) })
	for _, x := range answers {
		for len(all) > 0 && all[0].known.Before(when(x)) {
			all[0].do(&a)
			all = all[1:]
		}
		judge(x, &a)
	}
}

// judged are the answers about a budget that one bucket would have to explain.
func (o *oracle) judged(b int) (answers []*take) {
	for _, x := range o.h.takes {
		if x.budget == b && x.err == nil && !x.orphan && !x.d.Degraded && o.peaceful(x) {
			answers = append(answers, x)
		}
	}
	return answers
}

// neverTooMuch holds what remains against the least debt: of what was granted for certain,
// each token as early as it can have been counted, without what may be forgotten.
func (o *oracle) neverTooMuch(b int) {
	lim := o.h.s.budgets[b].lim
	slack := 1 + o.h.s.budgets[b].refill(orderSlack)
	if lim.Lease != limiter.LeaseOff {
		slack += o.h.s.budgets[b].refill(leaseDelay)
	}
	a := o.h.s.budgets[b].account()
	var all []happening
	for _, y := range o.h.takes {
		if y.budget == b && y.err == nil && y.d.Allowed && y.cost > 0 && !y.orphan && !o.forgotten(y, time.Time{}) && !o.lapsed(y, a.full) {
			all = append(all, happening{y.from, y.to, func(a *account) {
				a.take(y.from, y.cost)
				a.overflow(y.from)
			}})
		}
	}
	for _, g := range o.h.gives {
		if g.budget == b {
			all = append(all, happening{g.to, g.from, func(a *account) { a.give(g.to, g.cost) }})
		}
	}
	replay(a, all, o.judged(b), func(x *take) time.Time { return x.from }, func(x *take, a *account) {
		left := x.d.Remaining
		if x.d.Allowed {
			left += x.cost
		}
		if least, _ := a.debt(x.to); left > lim.Capacity()-least+slack {
			o.fault(x, "%d of %d were left, although at least %d were owed", left, lim.Capacity(), least)
		}
	})
}

// lapsed says whether a take may mean nothing any more to who did not know of it: its
// slot outlives its debt by one capacity, and a trouble lasted longer. Where nodes had
// clocks of their own, nothing is certain.
func (o *oracle) lapsed(y *take, full int64) bool {
	for _, t := range o.troubles {
		if y.from.Before(t.to) && (t.clock || y.from.Add(time.Duration(full)).Before(t.to)) {
			return true
		}
		// What was leased in the last flush before a crash is spent after it.
		if o.h.s.budgets[y.budget].lim.Lease != limiter.LeaseOff && len(t.losses) > 0 && y.to.After(t.from) && y.from.Before(t.to) {
			return true
		}
	}
	return false
}

// neverTooLittle holds what remains against the largest debt: of all that may have been
// counted, each token as late as it can have been.
func (o *oracle) neverTooLittle(b int) {
	x := o.h.s.budgets[b]
	a, slack := x.account(), 1+x.refill(orderSlack)
	if x.lim.Lease != limiter.LeaseOff { // only looks are judged, when all calls are over
		slack = 1 + x.refill(leaseSpare+2*o.h.s.oneWay())
	}
	var all []happening
	for _, y := range o.h.takes {
		if y.budget != b || y.cost == 0 {
			continue
		}
		n, at := int64(0), y.to
		if y.d.Allowed {
			n = y.cost
		}
		if !o.certain(y) {
			n, at = n+hopsMost*y.cost, at.Add(heldTime)
		}
		if n > 0 {
			all = append(all, happening{at, y.from, func(a *account) { a.take(at, n) }})
		}
	}
	for _, g := range o.h.gives {
		if g.budget == b && o.certain(g) && o.peaceful(g) {
			all = append(all, happening{g.from, g.to.Add(denyMax), func(a *account) { a.give(g.from, g.cost) }})
		}
	}
	for _, t := range o.troubles {
		all = append(all, happening{t.to, t.to, func(a *account) { a.tat = t.to.UnixNano() + a.full }})
	}
	replay(a, all, o.judged(b), func(x *take) time.Time { return x.to.Add(1) }, func(y *take, a *account) {
		if !o.complete(y) || !o.certain(y) || x.lim.Lease != limiter.LeaseOff && y.look == 0 {
			return
		}
		_, most := a.debt(y.from)
		left := x.lim.Capacity() - most - slack
		o.checked++
		if y.d.Allowed || y.cost == 0 {
			if y.d.Remaining < left {
				o.fault(y, "%d of %d are left, although at most %d are owed", y.d.Remaining, x.lim.Capacity(), most)
			}
		} else if y.cost <= left {
			o.fault(y, "denied, although at most %d of %d are owed", most, x.lim.Capacity())
		}
	})
}

// bucketTotals checks what may be admitted while something is broken, as in a window:
// all of it, and what is admitted after a split was noticed.
func (o *oracle) bucketTotals(b int) {
	for _, t := range o.troubles {
		starts := []time.Time{t.from}
		for _, s := range t.splits {
			starts = append(starts, s.to.Add(noticeTime+time.Millisecond))
		}
		for _, start := range starts {
			if w := (window{budget: b, start: start, end: t.to}); start.Before(t.to) {
				for _, x := range o.h.takes {
					if x.budget == b && x.look == 0 && x.err == nil && !x.from.Before(start) && x.to.Before(t.to) {
						w.takes = append(w.takes, x)
					}
				}
				for _, g := range o.h.gives {
					if g.budget == b {
						w.gives = append(w.gives, g)
					}
				}
				o.total(&w)
			}
		}
	}
}
