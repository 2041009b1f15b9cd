package middleware

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/weir-go/weir/limiter"
)

// How the rules of a request are asked so that a denied request spends from none, also
// while many are under way.
//
// Each budget has an owner of its own, and is asked in parallel with the others. So some
// admit what another denies, and for a moment their budgets show less than they have. Three
// things keep that from harming anybody else:
//
//   - A rule that denied this subject a moment ago is asked first, and alone. Whoever
//     floods with a spent key touches no other budget.
//   - The others are asked on trial ([Holder]). Who is denied because of a trial is told
//     so, nobody remembers it, and no Retry-After is made of it.
//   - Who is told so gives back what it holds and asks again, a little later.

// triesMost bounds how often a tentative denial is asked about again: within some 60 ms
// every trial has ended, unless nodes are failing.
const triesMost = 7

// take asks for all rules until the answers are final, and gives back where they refuse.
func (m *Middleware) take(x *exchange) (status int) {
	if x.route.refunds {
		x.asked = time.Now()
	}
	for try := 1; ; try++ {
		m.ask(x)
		var tentative bool
		if status, tentative = x.status(); status == 0 {
			return 0
		}
		m.giveBack(x)
		if !tentative || try == triesMost || !pause(x.ctx, try) {
			return status
		}
		x.again()
	}
}

// pause waits before a further try, longer each time; false if the request is over.
func pause(ctx context.Context, try int) bool {
	d := time.Millisecond << (try - 1)
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// again prepares for a further try. Who denied is asked first now.
func (x *exchange) again() {
	for i := range x.calls {
		if c := &x.calls[i]; !c.verdict.forbids() {
			c.first = c.verdict.denies() && !c.rule.shadow
			c.decision, c.err, c.outage = limiter.Decision{}, nil, nil
			c.verdict, c.looked, c.returned = Admitted, false, false
		}
	}
}

// ask asks for all rules once.
func (m *Middleware) ask(x *exchange) {
	if len(x.calls) == 1 {
		m.askOne(x, &x.calls[0])
		return
	}
	first := 0
	for i := range x.calls {
		c := &x.calls[i]
		c.first = c.first || !c.rule.shadow && m.suspects.has(c.key)
		if c.first {
			first++
		}
	}
	if first > 0 && first < len(x.calls) {
		m.askStacked(x, func(c *call) bool { return c.first })
		if status, _ := x.status(); status != 0 {
			m.giveBack(x)
			m.lookStacked(x)
			return
		}
		m.askStacked(x, func(c *call) bool { return !c.first })
		return
	}
	m.askStacked(x, nil)
}

// askStacked asks for those calls that pick picks: at the same time, since their owners may
// be different nodes and each answer may be a round trip away, unless the limiter is
// this process's own.
func (m *Middleware) askStacked(x *exchange, pick func(*call) bool) {
	if m.inProcess {
		for i := range x.calls {
			if c := &x.calls[i]; pick == nil || pick(c) {
				m.askOne(x, c)
			}
		}
		return
	}
	m.askParallel(x, pick)
}

// askParallel is apart because its closures would make every stacked request allocate.
func (m *Middleware) askParallel(x *exchange, pick func(*call) bool) {
	var wg sync.WaitGroup
	var last *call
	for i := range x.calls {
		c := &x.calls[i]
		if pick != nil && !pick(c) {
			continue
		}
		if last != nil {
			wg.Go(func(c *call) func() { return func() { m.askOne(x, c) } }(last))
		}
		last = c
	}
	if last != nil {
		m.askOne(x, last)
	}
	wg.Wait()
}

// lookStacked looks at what the other rules would have said of a request that is refused
// already: the client must be told of the longest wait.
func (m *Middleware) lookStacked(x *exchange) {
	for i := range x.calls {
		if c := &x.calls[i]; !c.first && !c.verdict.forbids() {
			c.looked = true
		}
	}
	m.askStacked(x, func(c *call) bool { return !c.first })
	for i := range x.calls {
		// A look tells the wait for a cost of one. Only an attempt tells it for more.
		if c := &x.calls[i]; c.looked && c.verdict == Denied && c.cost > 1 {
			if c.looked = false; m.askOne(x, c) {
				m.give(x, c)
			}
		}
	}
}

// askOne is one question to the limiter, and the verdict. It reports whether something was
// taken. A rule that forbids asks nothing.
func (m *Middleware) askOne(x *exchange, c *call) (took bool) {
	if c.verdict.forbids() {
		return false
	}
	if c.wrong != nil {
		c.err, c.verdict = c.wrong, Unavailable
		return false
	}
	ctx, cost := x.ctx, c.cost
	if c.rule.ban != nil && m.banned(ctx, c) {
		if !c.rule.shadow {
			m.suspects.add(c.key)
		}
		return false
	}
	if c.looked {
		cost = 0
	}
	trial := cost > 0 && (len(x.calls) > 1 || c.rule.count != nil)
	if trial && m.holder != nil {
		c.decision, c.err = m.holder.Hold(ctx, c.key, c.budget.limit, cost)
	} else {
		c.decision, c.err = m.limiter.Take(ctx, c.key, c.budget.limit, cost)
	}
	if c.err != nil && c.rule.outage == OutageLocal && !isMistake(c.err) && ctx.Err() == nil {
		m.askHere(ctx, c, cost, trial)
	}
	if c.verdict = c.judge(ctx); c.verdict == Denied && !c.decision.Tentative && !c.rule.shadow {
		m.suspects.add(c.key)
	}
	if c.looked && c.verdict == Returned {
		// As if it had been taken and given back: hooks need not know the difference.
		c.decision.Remaining -= c.cost
		c.returned = true
	}
	return c.took()
}

// askHere asks this process alone, where the limiter gives no decision at all. What it
// counts starts from nothing and is known to nobody else, which the answer says.
func (m *Middleware) askHere(ctx context.Context, c *call, cost int64, trial bool) {
	c.outage = c.err
	if local := m.local(); trial {
		c.decision, c.err = local.Hold(ctx, c.key, c.budget.limit, cost)
	} else {
		c.decision, c.err = local.Take(ctx, c.key, c.budget.limit, cost)
	}
	if c.err == nil {
		c.decision.Degraded, c.decision.Path = true, limiter.PathDegraded
	}
}

// holderOf is who can settle what a call took, or nil.
func (m *Middleware) holderOf(c *call) Holder {
	if c.outage != nil {
		return m.local()
	}
	return m.holder
}

// keep settles what the rules of a request took that passes. What depends on the
// response is settled after it.
func (m *Middleware) keep(x *exchange) {
	for i := range x.calls {
		if c := &x.calls[i]; c.rule.count == nil {
			m.keepOne(c)
		}
	}
}

// keepOne settles what one rule took: it is spent.
func (m *Middleware) keepOne(c *call) {
	if c.decision.Window.Noted() && c.took() {
		m.holderOf(c).Keep(c.key, c.budget.limit, c.cost, c.decision.Window)
	}
}

// giveBack returns what the calls of a refused request took.
func (m *Middleware) giveBack(x *exchange) {
	for i := range x.calls {
		c := &x.calls[i]
		if c.took() {
			m.give(x, c)
			if c.returned && c.verdict == Admitted {
				c.verdict = Returned
			}
		}
	}
}

// took reports whether the call spent something.
func (c *call) took() bool {
	return c.err == nil && c.decision.Allowed && c.cost > 0 && !c.looked && !c.returned && !c.verdict.forbids()
}

// give returns the cost of one call, also when the client is gone: the budget may be
// shared with others. A limiter that names windows gives back to the one that the cost was
// taken from. Of any other it is only known that after the reset nothing is left of
// what was taken, and to give it back then would take it off what others have spent since.
func (m *Middleware) give(x *exchange, c *call) {
	ctx := context.WithoutCancel(x.ctx)
	var err error
	if holder := m.holderOf(c); holder != nil && c.decision.Window != 0 {
		err = holder.Refund(ctx, c.key, c.budget.limit, c.cost, c.decision.Window)
	} else if time.Since(x.asked) >= c.decision.ResetAfter {
		return
	} else if c.outage != nil {
		err = m.local().Give(ctx, c.key, c.budget.limit, c.cost)
	} else {
		err = m.limiter.Give(ctx, c.key, c.budget.limit, c.cost)
	}
	if err != nil {
		m.stats.lostReturns.Add(1)
		return
	}
	c.returned = true
}

// refusedWith reports whether a verdict is among the reasons of a status.
func (v Verdict) refusedWith(status int) bool {
	if status == http.StatusForbidden {
		return v.forbids()
	}
	return v.denies() || v == Unavailable
}
