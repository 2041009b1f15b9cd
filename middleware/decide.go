package middleware

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/limiter"
)

// call is one rule's question to the limiter, and the answer.
type call struct {
	rule                   *rule
	budget                 *budget
	cost                   int64
	subjectFrom, subjectTo int    // of exchange.buf
	keyFrom, keyTo         int    // of exchange.buf
	key                    string // view of exchange.buf
	decision               limiter.Decision
	err                    error
	verdict                Verdict
	returned               bool // the cost was given back
}

// decide asks the limiter for every rule and returns the status to refuse with, or 0 for
// the request to pass. A refused request spends from no budget.
func (m *Middleware) decide(x *exchange) (status int) {
	if !x.prepare() {
		// Nobody was asked, so there is nothing to tell of the other rules.
		x.calls = slices.DeleteFunc(x.calls, func(c call) bool { return !c.verdict.forbids() })
		return http.StatusForbidden
	}
	if x.route.refunds {
		x.asked = time.Now()
	}
	m.take(x)
	ctx := x.request.Context()
	for i := range x.calls {
		c := &x.calls[i]
		c.verdict = c.judge(ctx)
		switch {
		case c.verdict == Canceled:
			status = statusClientGone
		case c.rule.shadow || status == statusClientGone:
		case c.verdict == Denied:
			status = http.StatusTooManyRequests
		case c.verdict == Unavailable && status == 0:
			status = http.StatusServiceUnavailable
		}
	}
	if status != 0 {
		m.giveBack(x)
	}
	m.count(x, status)
	return status
}

// prepare finds subjects, costs and keys; false if a rule refuses whatever the limiter says.
func (x *exchange) prepare() bool {
	refused := false
	for _, r := range x.route.rules {
		c := call{rule: r, budget: x.budget(r), cost: r.cost}
		if r.costOf != nil {
			c.cost = clampCost(r.costOf(x.request), c.budget.capacity)
		}
		c.subjectFrom = len(x.buf)
		var ok bool
		if x.buf, ok = r.subject(x.buf, x.request); !ok {
			x.buf = x.buf[:c.subjectFrom] // nobody in particular: the shared budget
			if r.absent == AbsentSkip {
				continue
			}
			if r.absent == AbsentDeny {
				c.verdict = KeyMissing
				refused = refused || !r.shadow
			}
		}
		if c.budget.blocked && c.verdict != KeyMissing {
			c.verdict = Blocked
			refused = refused || !r.shadow
		}
		c.subjectTo = len(x.buf)
		c.keyFrom = c.subjectTo
		x.buf = appendKey(x.buf, x.policy.namespace, r.name, x.buf[c.subjectFrom:c.subjectTo])
		c.keyTo = len(x.buf)
		x.calls = append(x.calls, c)
	}
	// Only now: buf may have moved while it grew.
	for i := range x.calls {
		c := &x.calls[i]
		c.key = view(x.buf[c.keyFrom:c.keyTo])
	}
	return !refused
}

// budget is the limit that counts for a rule: the plan's, if there is one.
func (x *exchange) budget(r *rule) *budget {
	if r.plan == nil {
		return r.budget
	}
	from := len(x.buf)
	plan, ok := r.plan(x.buf, x.request)
	x.buf = plan[:from]
	if b, known := r.plans[string(plan[from:])]; ok && known {
		return b
	}
	return r.budget
}

// clampCost keeps a cost that a function computed within what a limit can answer to:
// an error here would be a hole, or a request that no wait makes acceptable.
func clampCost(cost, capacity int64) int64 {
	if cost < 0 {
		return 1
	}
	return min(cost, capacity)
}

// take asks for every call: on this goroutine for one, in parallel for several, since
// their owners may be different nodes and each answer may be a round trip away.
func (m *Middleware) take(x *exchange) {
	switch len(x.calls) {
	case 0: // every rule was left out
	case 1:
		m.ask(x, &x.calls[0])
	default:
		m.takeStacked(x)
	}
}

// takeStacked is apart from take because its closures would make every request allocate.
func (m *Middleware) takeStacked(x *exchange) {
	var wg sync.WaitGroup
	for i := range x.calls[1:] {
		wg.Go(func() { m.ask(x, &x.calls[i+1]) })
	}
	m.ask(x, &x.calls[0])
	wg.Wait()
}

// ask is one question to the limiter. A shadow rule that forbids asks nothing.
func (m *Middleware) ask(x *exchange, c *call) {
	if !c.verdict.forbids() {
		c.decision, c.err = m.limiter.Take(x.request.Context(), c.key, c.budget.limit, c.cost)
	}
}

// judge turns the limiter's answer into the rule's verdict.
func (c *call) judge(ctx context.Context) Verdict {
	switch {
	case c.verdict.forbids():
		return c.verdict
	case c.err != nil:
		return c.judgeError(ctx)
	case c.decision.Degraded && c.rule.outage == OutageOpen:
		return Open
	case c.decision.Degraded && c.rule.outage == OutageClosed:
		return Unavailable
	case c.decision.Allowed || c.cost == 0:
		return Admitted
	}
	return Denied
}

// judgeError is the verdict where there is no decision.
func (c *call) judgeError(ctx context.Context) Verdict {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Canceled
	case errors.Is(c.err, limiter.ErrLimit), errors.Is(c.err, limiter.ErrKey), errors.Is(c.err, limiter.ErrCost):
		// No outage: the question was wrong. To pass would turn whatever a client can
		// do to cause it into a way around the limit.
		return Unavailable
	case c.rule.outage == OutageClosed:
		return Unavailable
	}
	return Open
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
	return c.err == nil && c.decision.Allowed && c.cost > 0 && !c.returned && !c.verdict.forbids()
}

// give returns the cost of one call, also when the client is gone: the budget may be
// shared with others. After the reset there is nothing left of what was taken, and to
// give it back then would take it off what others have spent since.
func (m *Middleware) give(x *exchange, c *call) {
	if time.Since(x.asked) >= c.decision.ResetAfter {
		return
	}
	ctx := context.WithoutCancel(x.request.Context())
	if err := m.limiter.Give(ctx, c.key, c.budget.limit, c.cost); err != nil {
		m.stats.lostReturns.Add(1)
		return
	}
	c.returned = true
}

// count keeps the Stats.
func (m *Middleware) count(x *exchange, status int) {
	if status == http.StatusServiceUnavailable {
		m.stats.unavailable.Add(1)
	}
	if status != 0 {
		return
	}
	for i := range x.calls {
		if c := &x.calls[i]; c.verdict == Open && c.err != nil && !c.rule.shadow {
			m.stats.failedOpen.Add(1)
			return
		}
	}
}
