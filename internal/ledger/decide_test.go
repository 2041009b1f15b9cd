package ledger

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// propertyRuns is how many random inputs a property is held against.
const propertyRuns = 50_000

// fitsNaive says whether ask fits into a budget wait from now on, if nothing is
// taken meanwhile: by the definitions of the algorithms, in unbounded integers, and
// with no thought for speed.
func fitsNaive(l Limit, u usage, end, now, ask, wait int64) bool {
	w, at := int64(l.Window), now+wait
	if l.Algorithm == TokenBucket { // what would be owed is at most what a full bucket holds
		t := divUp(w, l.Quota)
		owed := new(big.Int).Add(big.NewInt(max(u.tat-at, 0)), mul(ask, t))
		return owed.Cmp(mul(l.Capacity(), t)) <= 0
	}
	cur, prev, last := u.cur, u.prev, end
	for ; last <= at; last += w {
		cur, prev = 0, cur
	}
	if l.Algorithm == SlidingWindow { // (quota - cur - ask) * window >= prev * what is left of the window
		room := mul(l.Quota-min(cur, l.Quota)-ask, w)
		return room.Cmp(mul(min(prev, l.Quota), last-at)) >= 0
	}
	return min(cur, l.Quota)+ask <= l.Quota
}

func mul(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }

func divUp(a, b int64) int64 {
	q, r := new(big.Int).QuoRem(big.NewInt(a), big.NewInt(b), new(big.Int))
	return q.Int64() + int64(r.Sign())
}

// leftNaive is the most that fits, found by halving.
func leftNaive(l Limit, u usage, end, now int64) int64 {
	lo, hi := int64(0), l.Capacity()+1 // lo fits or is 0, hi does not fit
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; fitsNaive(l, u, end, now, mid, 0) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// magnitude draws from 0 to most so that every order of magnitude is as likely as
// any other, and the ends come up often.
func magnitude(r *rand.Rand, most int64) int64 {
	switch r.IntN(8) {
	case 0:
		return most
	case 1:
		return most - min(most, r.Int64N(3))
	}
	return min(most, r.Int64()>>r.IntN(63))
}

// randomLimit draws a limit that Validate accepts.
func randomLimit(r *rand.Rand) Limit {
	for {
		l := Limit{
			Quota:     max(1, magnitude(r, MaxQuota)),
			Window:    max(minWindow, time.Duration(magnitude(r, int64(MaxWindow)))),
			Algorithm: Algorithm(r.IntN(3)),
		}
		if l.Algorithm == TokenBucket && r.IntN(2) == 0 {
			l.Burst = magnitude(r, MaxQuota)
		}
		if valid(l) {
			return l
		}
	}
}

// randomCase draws all that decide needs.
func randomCase(r *rand.Rand) (l Limit, u usage, end, now, cost int64) {
	l = randomLimit(r)
	now = t0 + r.Int64N(int64(MaxWindow))
	end = windowEnd(ID{Hi: r.Uint64()}, int64(l.Window), now)
	u = usage{cur: magnitude(r, 3*l.Quota), prev: magnitude(r, 3*l.Quota)}
	full := l.Capacity() * l.Interval()
	u.tat = now - 5 + magnitude(r, full+5)
	return l, u, end, now, magnitude(r, l.Capacity())
}

func TestDecideAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range propertyRuns {
		l, u, end, now, cost := randomCase(r)
		ask := max(cost, 1)
		d := decide(&l, u, end, now, cost)
		left := leftNaive(l, u, end, now)
		fits := fitsNaive(l, u, end, now, ask, 0)
		if d.Allowed {
			left -= cost
		}
		if d.Allowed != fits || d.Remaining != left {
			require.Fail(t, "decide differs", "run %d: %+v %+v end now+%d cost %d: %+v, naively %v with %d left",
				i, l, u, end-now, cost, d, fits, left)
		}
		checkShape(t, l, cost, d)
	}
}

// Waiting exactly RetryAfter suffices, and a nanosecond less does not.
func TestRetryAfterIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	denied := [3]int{}
	for i := range propertyRuns {
		l, u, end, now, cost := randomCase(r)
		d := decide(&l, u, end, now, cost)
		if d.Allowed {
			continue
		}
		denied[l.Algorithm]++
		wait := int64(d.RetryAfter)
		if !fitsNaive(l, u, end, now, max(cost, 1), wait) || fitsNaive(l, u, end, now, max(cost, 1), wait-1) {
			require.Fail(t, "RetryAfter is not the first instant", "run %d: %+v %+v end now+%d cost %d: %+v",
				i, l, u, end-now, cost, d)
		}
	}
	for a, n := range denied {
		require.Greater(t, n, 1000, "too few denials by %v", Algorithm(a))
	}
}

// After ResetAfter a budget is whole, and a nanosecond before it is not.
func TestResetAfterIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range propertyRuns {
		l, u, end, now, _ := randomCase(r)
		d := decide(&l, u, end, now, 0)
		wait := int64(d.ResetAfter)
		whole := fitsNaive(l, u, end, now, l.Capacity(), wait)
		if l.Algorithm == FixedWindow {
			require.Equal(t, end-now, wait) // the window's end, also of an untouched one
		} else if wait > 0 {
			whole = whole && !fitsNaive(l, u, end, now, l.Capacity(), wait-1)
		}
		if !whole {
			require.Fail(t, "ResetAfter is wrong", "run %d: %+v %+v end now+%d: %+v", i, l, u, end-now, d)
		}
	}
}

// Any usage at all, also one that no ledger would make, gives a possible decision.
func TestDecideOnGarbage(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	wild := func() int64 { return int64(r.Uint64()) >> r.IntN(63) }
	for range propertyRuns {
		l, u, end, now, cost := randomCase(r)
		u.cur, u.prev = wild()>>10, wild()>>10
		u.tat = int64(r.Uint64() >> 1)
		checkShape(t, l, cost, decide(&l, u, end, now, cost))
	}
}

// A share is a smaller limit: never more than its part, nothing overflows, and what
// does not fit into the share is denied.
func TestShareIsProportional(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for i := range propertyRuns {
		l, u, end, now, cost := randomCase(r)
		known := 1 + r.Int64N(5000)
		seen := r.Int64N(known + 1)
		part := l.share(seen, known)
		require.LessOrEqual(t, part.Quota*known, l.Quota*seen)
		if part.Quota > 0 {
			require.LessOrEqual(t, part.Capacity()*known, l.Capacity()*seen, "run %d: %+v", i, l)
		}
		d := decide(&part, u, end, now, cost)
		if cost > l.Capacity()*seen/known && d.Allowed || d.Allowed != (d.RetryAfter == 0) ||
			d.RetryAfter < 0 || d.Remaining < 0 || d.Remaining > part.Capacity() {
			require.Fail(t, "a share admits too much", "run %d: %+v as %d of %d, %+v, cost %d: %+v", i, l, seen, known, u, cost, d)
		}
	}
}
