package client

import (
	"context"
	"sync"
	"time"
)

// Pace says what a [Transport] does with a request that would be denied, as far as
// the answers so far tell. It knows of a budget what its last window's answers said,
// less what is on the way; of a window that has not answered yet it knows nothing,
// so one request goes ahead and the others wait for its answer (a second at most).
// A host whose answers have no rate-limit headers is not paced.
type Pace uint8

const (
	// PaceOff sends everything at once.
	PaceOff Pace = iota
	// PaceFail returns a [*RateLimitError] for a request that would be denied. It
	// never makes a request wait; Retry still may, after a denial.
	PaceFail
	// PaceWait holds a request back until it would be admitted, in the order of
	// arrival. One that could not be sent in time (see [Retry].Total, and the
	// context's deadline) fails at once with a [*RateLimitError].
	PaceWait
	// PaceSpread is PaceWait and spreads what is left evenly over the time left, so
	// that a burst does not spend the budget at the window's beginning. Behind a
	// sliding window, whose headers give the end of two windows as the reset, that
	// is down to less than half of the rate it allows.
	//
	// It is also the pace for clients that share a budget without knowing of each
	// other: each sees by how much more than its own requests the budget shrinks,
	// and takes its part. Together they leave a hundredth of the limit unspent, and
	// are refused next to nothing, if the budget has several requests for each.
	PaceSpread
)

// DefaultPaceMax is [Transport].PaceMax where it is 0.
const DefaultPaceMax = time.Hour

// budgetsMax is how many budgets a pacer keeps. A client talks to few hosts; more
// means that Route makes up names, and then the idle ones are forgotten.
const budgetsMax = 1024

// budgetKey names a budget as the client sees it.
type budgetKey struct{ host, route string }

// pacer keeps the budgets of one transport.
type pacer struct {
	mu      sync.Mutex // guards budgets and all that is in them
	budgets map[budgetKey]*budget
}

// pass is the leave to send one request. Each one ends in answer or lose. The zero
// pass is the leave of those who do not pace.
type pass struct {
	budget *budget
	seq    uint64
}

// admit waits until a request may be sent. If that would not be before the
// deadline, it returns the wait that would have been needed instead, above 0.
func (p *pacer) admit(ctx context.Context, key budgetKey, t *Transport, deadline time.Time) (pass, time.Duration, error) {
	p.mu.Lock()
	b := p.find(key)
	if b == nil {
		p.mu.Unlock()
		return pass{}, 0, nil
	}
	now := time.Now()
	if b.most = t.PaceMax; b.most <= 0 {
		b.most = DefaultPaceMax
	}
	if t.Pace == PaceFail {
		defer p.mu.Unlock()
		if wait := b.denied(now); wait > 0 {
			return pass{}, wait, nil
		}
		return pass{b, b.send(now)}, 0, nil
	}
	spread := t.Pace == PaceSpread
	if len(b.queue) == 0 && b.wait(now, spread) <= 0 {
		defer p.mu.Unlock()
		return pass{b, b.send(now)}, 0, nil
	}
	wait := b.soonest(now, len(b.queue), spread)
	if !now.Add(wait).Before(deadline) {
		p.mu.Unlock()
		return pass{}, max(wait, 1), context.Cause(ctx)
	}
	wait = max(wait, b.wait(now, spread))
	p.mu.Unlock()
	t.announce(wait, WhyPace) // before it queues: should this panic, nobody waits behind it
	w := make(waiter, 1)
	p.mu.Lock()
	b.queue = append(b.queue, w)
	p.mu.Unlock()
	return p.stand(ctx, b, w, spread, deadline)
}

// stand waits in the queue of b. Only the head of the queue looks at the clock; the
// others sleep until they are the head, or know that it will be too late. So a long
// queue costs one timer per request and no herd.
func (p *pacer) stand(ctx context.Context, b *budget, w waiter, spread bool, deadline time.Time) (pass, time.Duration, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p.mu.Lock()
		now := time.Now()
		left := deadline.Sub(now)
		pause := left
		if b.queue[0] == w {
			pause = b.wait(now, spread)
			if pause <= 0 {
				seq := b.send(now)
				b.quit(w)
				p.mu.Unlock()
				return pass{b, seq}, 0, nil
			}
		}
		if wait := b.soonest(now, b.place(w), spread); left <= 0 || wait >= left {
			b.quit(w)
			p.mu.Unlock()
			return pass{}, max(wait, 1), nil
		}
		p.mu.Unlock()

		timer.Reset(min(pause, left))
		select {
		case <-timer.C:
		case <-w:
		case <-ctx.Done():
			p.mu.Lock()
			b.quit(w)
			p.mu.Unlock()
			return pass{}, 0, context.Cause(ctx)
		}
	}
}

// answer takes over what the answer to a request says of its budget.
func (p *pacer) answer(ps pass, r RateLimit, refused bool) {
	if ps.budget == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ps.budget.answer(ps.seq, r, refused)
}

// lose notes that a request will have no answer.
func (p *pacer) lose(ps pass) {
	if ps.budget == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ps.budget.lose()
}

// find returns the budget of a key, a new one if need be, or nil if there is no
// room: then every budget is in use, and the request goes unpaced.
func (p *pacer) find(key budgetKey) *budget {
	if b := p.budgets[key]; b != nil {
		return b
	}
	if p.budgets == nil {
		p.budgets = make(map[budgetKey]*budget)
	}
	if len(p.budgets) >= budgetsMax && !p.forget(time.Now()) {
		return nil
	}
	b := &budget{}
	p.budgets[key] = b
	return b
}

// forget drops idle budgets: all of those whose time is over, else any one.
func (p *pacer) forget(now time.Time) bool {
	var idle *budgetKey
	before := len(p.budgets)
	for key, b := range p.budgets {
		switch {
		case b.flying > 0 || len(b.queue) > 0:
		case b.over(now):
			delete(p.budgets, key)
		default:
			idle = &key
		}
	}
	if len(p.budgets) == before && idle != nil {
		delete(p.budgets, *idle)
	}
	return len(p.budgets) < before
}
