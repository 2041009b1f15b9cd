package limiter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// How one waits for a budget that many wait for.
//
// Who is told when the budget admits one more, and sleeps until then, wakes together with all
// others who were told the same: a hundred ask, one is admitted, and so on a hundred times. So
// who has to wait takes a place in a queue, and the queue is a token bucket: its arrival time
// is the end of the line. It needs nobody to keep it, and in a cluster it is where the budget
// is, so those who wait on other nodes stand in the same line.
//
//   - A token bucket is its own queue. A larger burst is tokens that are not there yet: who
//     takes one is told when it will be, and need not ask again.
//   - A window cannot be taken from before it begins. So its queue is a bucket beside it, of
//     the same rate, which tells how many windows to let pass.

// Taker is what [Wait] and [TakeUpTo] ask: a *[Local], a node of package cluster, or whatever
// wraps one.
type Taker interface {
	// Take is that of [Local].
	Take(ctx context.Context, key string, l Limit, cost int64) (Decision, error)
}

// ErrWait is wrapped by the error of a [Wait] for which the context has no time.
var ErrWait = errors.New("the context ends before the budget admits that")

// orderMax is within what time those wake in their order who may all take from one new window.
const orderMax = 20 * time.Millisecond

// Wait takes cost from the budget of key under l, and waits as long as that takes: never
// longer than ctx allows, and not at all where it would, which it knows beforehand. Whoever
// waits is in a queue with all others who do, on all nodes: of a token bucket they are admitted
// in the order in which they came, by one question each; of a window in the order of windows, by
// some three. Who takes without waiting does not queue, and can be admitted before them where
// there is something left.
//
// If it returns no error, the cost is taken. If there is no time, the error wraps ErrWait and
// the Decision says in RetryAfter how long it would have taken. Any other error is the limiter's,
// or that of ctx if it ends while it waits: then the place in the queue is given up, as far
// as nobody came after it.
func Wait(ctx context.Context, t Taker, key string, l Limit, cost int64) (Decision, error) {
	if err := check(key, &l, cost); err != nil {
		return Decision{}, err
	}
	if cost == 0 {
		return t.Take(ctx, key, l, 0)
	}
	if l.Algorithm == TokenBucket {
		return waitBucket(ctx, t, key, l, cost)
	}
	return waitWindow(ctx, t, key, l, cost)
}

// waitBucket takes tokens that are not there yet, and sleeps until they are.
func waitBucket(ctx context.Context, t Taker, key string, l Limit, cost int64) (Decision, error) {
	q := queueOf(key, l, l.Capacity())
	full := time.Duration(l.Capacity()) * q.price
	for {
		left := timeLeft(ctx)
		p, err := q.join(ctx, t, cost, left)
		d := p.decision
		turn := d.ResetAfter + time.Duration(cost)*q.price - full // of who is denied a place
		switch {
		case err != nil:
			return Decision{}, err
		case d.Allowed:
			wait := max(0, d.ResetAfter-full)
			if err := p.sleep(ctx, t, wait); err != nil {
				return Decision{}, err
			}
			d.ResetAfter -= wait
			d.Remaining = int64(max(0, full-d.ResetAfter) / q.price)
			return d, nil
		case d.Tentative || d.Degraded || turn <= left:
			// It may soon be another answer, that of a whole cluster say; or the last token that
			// there is time for is not all there yet.
			if err := sleepWithin(ctx, d.RetryAfter); err != nil {
				return d, err
			}
		default:
			d.RetryAfter = turn
			return d, tooLong(turn)
		}
	}
}

// waitWindow asks, and where that is denied sleeps until it is its turn, and asks again.
func waitWindow(ctx context.Context, t Taker, key string, l Limit, cost int64) (Decision, error) {
	d, err := t.Take(ctx, key, l, cost)
	if err != nil || d.Allowed {
		return d, err
	}
	q := queueBeside(key, l)
	if left := timeLeft(ctx); d.RetryAfter > left {
		return d, tooLong(d.RetryAfter)
	} else if !d.Tentative && !d.Degraded && q.fits(cost) {
		p, err := q.join(ctx, t, cost, left-d.RetryAfter+l.Span()+time.Duration(cost)*q.price)
		if err != nil {
			return d, err
		}
		wait, order := p.turn(l, d.RetryAfter, cost)
		if !p.decision.Allowed || wait > left {
			if p.decision.Allowed {
				p.leave(ctx, t)
			}
			d.RetryAfter = wait
			return d, tooLong(wait)
		}
		if err := p.sleep(ctx, t, min(wait+order, left)); err != nil {
			return d, err
		}
	} else if err := sleep(ctx, d.RetryAfter); err != nil {
		return d, err
	}
	for {
		if d, err = t.Take(ctx, key, l, cost); err != nil || d.Allowed {
			return d, err
		}
		if err := sleepWithin(ctx, d.RetryAfter); err != nil {
			return d, err
		}
	}
}

// queue is a token bucket that is taken from in advance.
type queue struct {
	key   string
	limit Limit
	price time.Duration // of a token
	burst int64         // that is there without waiting
}

// queueOf is the queue of a bucket.
func queueOf(key string, l Limit, burst int64) queue {
	l.Lease = LeaseOff // a slice of what is not there yet would be spent at once
	b := budget(&l)
	return queue{key, l, time.Duration(b.Interval()), burst}
}

// queueBeside is the queue for a window: no key of a user's is like its.
func queueBeside(key string, l Limit) queue {
	name := Key("\x00wait", key)
	if len(name) > MaxKeyLen {
		sum := sha256.Sum256([]byte(key))
		name = Key("\x00wait", string(sum[:]), "")
	}
	l.Window, l.Align, l.Zone = l.Span(), AlignNone, ""
	if l.Algorithm == SlidingWindow {
		// Whoever is admitted evenly is admitted so much more slowly by it: what counts of the
		// last window is rounded up.
		l.Window += time.Duration((int64(l.Window) + l.Quota - 1) / l.Quota)
	}
	l.Algorithm = TokenBucket
	return queueOf(name, l, 0)
}

// fits reports whether the queue can be, for that cost: not where several tokens come each
// nanosecond.
func (q queue) fits(cost int64) bool {
	return q.limit.Quota <= int64(q.limit.Window) && q.limit.Window <= MaxWindow && time.Duration(cost) <= MaxWindow/q.price
}

// join takes a place, if its turn comes within that time.
func (q queue) join(ctx context.Context, t Taker, cost int64, within time.Duration) (place, error) {
	q.limit.Burst = min(max(cost, q.burst+int64(within/q.price)), MaxQuota, int64(MaxWindow/q.price))
	d, err := t.Take(ctx, q.key, q.limit, cost)
	return place{q, d, cost, time.Now()}, err
}

// place is one in a queue.
type place struct {
	queue
	decision Decision
	cost     int64
	since    time.Time
}

// turn is how long to wait for a window, of which the first with something left begins after
// first; and how much later, so that those of one window come in their order.
func (p place) turn(l Limit, first time.Duration, cost int64) (wait, order time.Duration) {
	ahead := p.decision.ResetAfter - time.Duration(cost)*p.price
	if !p.decision.Allowed {
		ahead = p.decision.ResetAfter
	}
	ahead = max(0, ahead)
	if l.Algorithm == SlidingWindow {
		return first + ahead, 0
	}
	// While the first window lasts, the queue shrinks, and nobody is admitted: so it is
	// rather too short, and who comes too early is before the others in the next window.
	window := l.Span()
	rest := ahead % window
	spread := min(window/10, orderMax)
	return first + ahead - rest, spread/5 + time.Duration(float64(spread)*0.8*float64(rest)/float64(window))
}

// sleep waits in the queue. Where the context ends first, the place is given up.
func (p place) sleep(ctx context.Context, t Taker, d time.Duration) error {
	err := sleep(ctx, d)
	if err != nil {
		p.leave(context.WithoutCancel(ctx), t)
	}
	return err
}

// leave gives a place back, less what others took after it: their turn is not moved, so it is
// theirs as well.
func (p place) leave(ctx context.Context, t Taker) {
	g, ok := t.(interface {
		Give(ctx context.Context, key string, l Limit, cost int64) error
	})
	if !ok {
		return
	}
	now, err := t.Take(ctx, p.key, p.limit, 0)
	if err != nil || now.Degraded {
		return
	}
	since := now.ResetAfter + time.Since(p.since) - p.decision.ResetAfter
	if back := p.cost - int64((since+p.price-1)/p.price); back > 0 {
		// A refund that is lost leaves the budget smaller, for as long as the wait was.
		_ = g.Give(ctx, p.key, p.limit, min(back, p.cost))
	}
}

// timeLeft is the time until the context ends; without an end, more than any wait.
func timeLeft(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return max(0, time.Until(end))
	}
	return MaxWindow
}

// sleepWithin sleeps, if the context has the time.
func sleepWithin(ctx context.Context, d time.Duration) error {
	if d > timeLeft(ctx) {
		return tooLong(d)
	}
	return sleep(ctx, d)
}

// sleep sleeps, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tooLong is the error of a wait that is not begun.
func tooLong(d time.Duration) error {
	return fmt.Errorf("limiter: a wait of %v: %w", d, ErrWait)
}
