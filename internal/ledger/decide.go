package ledger

import (
	"math/bits"
	"time"
)

// usage is the join of all slots of one id as seen at one instant: what a decision
// is made against. Sums for the window algorithms; bucket.go has the token bucket's.
type usage struct {
	cur  int64 // taken in the window that contains now
	prev int64 // taken in the window before
	tat  int64 // theoretical arrival time: when the bucket will be full again
}

// add joins one slot. Slots come from peers with other clocks and other versions,
// so their window is judged by its distance, not by equality: a slot of a window
// that has not begun here counts as now's, one further off counts as nothing.
func (u *usage) add(e *entry, l *Limit, end int64) {
	w := int64(l.Window)
	switch d := end - e.at; {
	case d < -w: // no clock is that far ahead
	case d < 0: // the next window already: its last one is this one
		u.cur += int64(e.cur) + int64(e.prev)
	case d < w:
		u.cur += int64(e.cur)
		u.prev += int64(e.prev)
	case d < 2*w:
		u.prev += int64(e.cur)
	}
}

// decide is the whole limiter as a function: what becomes of a cost against a
// usage at an instant. The limit is one that Validate accepts, or a share of one,
// whose quota may be 0. It changes nothing.
func decide(l *Limit, u usage, end, now, cost int64) (d Decision) {
	d.decide(l, u, end, now, cost)
	return d
}

// decide is the same, into a zero Decision. The hot path hands one Decision down and
// fills it field by field: five fields are too many for the compiler to keep in
// registers, and each return of them by value waits for the bytes just written to be
// read back in wider pieces, four times in one take, a fifth of its time.
func (d *Decision) decide(l *Limit, u usage, end, now, cost int64) {
	ask := max(cost, 1) // a look asks whether anything would be admitted
	switch l.Algorithm {
	case SlidingWindow:
		d.decideSliding(l, u, end, now, cost, ask)
		return
	case TokenBucket:
		d.decideBucket(l, u.tat, now, cost, ask)
		return
	}
	left := l.Quota - clamp(u.cur, l.Quota)
	d.ResetAfter = time.Duration(end - now)
	if ask <= left {
		d.Allowed, d.Remaining = true, left-cost
	} else {
		d.Remaining, d.RetryAfter = left, d.ResetAfter
	}
}

func (d *Decision) decideSliding(l *Limit, u usage, end, now, cost, ask int64) {
	w, rest := int64(l.Window), end-now
	cur, prev := clamp(u.cur, l.Quota), clamp(u.prev, l.Quota)
	left := max(0, l.Quota-cur-mulDivUp(prev, rest, w))
	if ask <= left {
		d.Allowed, d.Remaining = true, left-cost
		cur += cost
	} else {
		d.Remaining = left
		d.RetryAfter = time.Duration(slidingWait(l.Quota, cur, prev, ask, rest, w))
	}
	switch {
	case cur > 0:
		d.ResetAfter = time.Duration(rest + w)
	case prev > 0:
		d.ResetAfter = time.Duration(rest)
	}
}

// slidingWait solves for the first instant at which ask fits: within this window,
// when the weight of the last one has shrunk enough, else within the next, in
// which this one is the last.
func slidingWait(quota, cur, prev, ask, rest, w int64) int64 {
	if room := quota - cur - ask; room >= 0 {
		return rest - mulDivDown(room, w, prev) // prev > 0, or ask would have fitted
	}
	room := quota - ask
	if room < 0 || cur <= room {
		return rest // more than a share: at the window's end the split may be over
	}
	return rest + w - mulDivDown(room, w, cur)
}

// decideBucket is the Generic Cell Rate Algorithm, in its virtual scheduling form.
func (d *Decision) decideBucket(l *Limit, tat, now, cost, ask int64) {
	if l.Quota < 1 { // the share of one side of a split may be nothing
		d.RetryAfter, d.ResetAfter = l.Window, time.Duration(max(0, tat-now))
		return
	}
	t := l.Interval()
	full := l.Capacity() * t
	ask = min(ask, l.Capacity()+1) // what can never fit into a share may be too large to multiply
	// Nanoseconds until the bucket is full: more than full after a larger burst was
	// spent, and then the wait has to be as long. Never more than Merge lets in.
	debt := clamp(tat-now, 2*int64(MaxWindow))
	if d.Allowed = ask*t <= full-debt; d.Allowed {
		debt += cost * t
	} else {
		d.RetryAfter = time.Duration(debt + ask*t - full)
	}
	d.Remaining = max(0, full-debt) / t
	d.ResetAfter = time.Duration(debt)
}

// share is the limit of one side of a split that sees seen of known members.
func (l Limit) share(seen, known int64) Limit {
	if known > 0 && seen < known {
		burst := l.Capacity() * seen / known
		l.Quota = l.Quota * seen / known
		if l.Algorithm == TokenBucket {
			l.Burst = burst
			if burst == 0 {
				l.Quota = 0
			}
		}
	}
	return l
}

// clamp keeps what came from peers between nothing and one full budget.
func clamp(x, full int64) int64 { return min(max(x, 0), full) }

// mulDivUp is a*b/c rounded up, for 0 <= b <= c, without overflow.
func mulDivUp(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, r := bits.Div64(hi, lo, uint64(c))
	if r > 0 {
		q++
	}
	return int64(q)
}

// mulDivDown is a*b/c rounded down, at most b: a is less than c, or all of b it is.
func mulDivDown(a, b, c int64) int64 {
	if a >= c {
		return b
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}
