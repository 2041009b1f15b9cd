package middleware

import (
	"context"
	"errors"
	"net/http"

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
	wrong                  error // the limit of the program's function: there is nothing to ask
	err                    error // there is no decision
	outage                 error // why the limiter gave none, where this process decided
	verdict                Verdict
	never                  bool // the cost is more than the limit can admit
	first                  bool // ask before the others: it is likely to refuse
	looked                 bool // only looked: another rule had refused already
	returned               bool // the cost was given back
}

// decide asks the limiter for every rule and returns the status to refuse with, or 0 for
// the request to pass. A denied request spends from no budget.
func (m *Middleware) decide(x *exchange) (status int) {
	forbidden := !x.prepare()
	status = m.take(x)
	if x.route.bans {
		m.strikeAll(x)
	}
	if status == 0 {
		m.keep(x)
		if forbidden {
			status = http.StatusForbidden // what the other rules took is spent
			m.settleRefused(x, status)
		}
	}
	m.count(x, status)
	return status
}

// prepare finds subjects, costs and keys; false if a rule refuses whatever the limiter says.
func (x *exchange) prepare() bool {
	refused := false
	for i, r := range x.route.rules {
		c := call{rule: r, cost: r.cost}
		c.subjectFrom = len(x.buf)
		ok := true
		switch {
		case len(x.asks) > 0:
			x.describe(&c, &x.asks[i])
		case x.given:
			x.price(&c)
			x.buf, ok = append(x.buf, x.subject...), x.subject != ""
		default:
			x.price(&c)
			x.buf, ok = r.subject(x.buf, x.request)
		}
		if !ok {
			x.buf = x.buf[:c.subjectFrom] // nobody in particular: the shared budget
			if r.absent == AbsentSkip {
				continue
			}
			if r.absent == AbsentDeny {
				c.verdict = KeyMissing
				refused = refused || !r.shadow
			}
		}
		if (c.budget.blocked || c.never) && c.verdict != KeyMissing {
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

// price finds what a request takes, and from which limit.
func (x *exchange) price(c *call) {
	r := c.rule
	c.budget, c.wrong = x.budget(r)
	if r.costOf != nil {
		c.cost = clampCost(r.costOf(x.request), c.budget.capacity)
	} else if r.limits != nil && !c.budget.blocked {
		c.cost = min(c.cost, c.budget.capacity)
	}
}

// budget is the limit that counts for a rule: that of the program's function, else the plan's,
// else its own. The error says that the function gave one that cannot be.
func (x *exchange) budget(r *rule) (*budget, error) {
	if r.limits != nil {
		if b, err := r.limits.find(x.request); b != nil {
			return b, nil
		} else if err != nil {
			return r.budget, err
		}
	}
	if r.plan == nil {
		return r.budget, nil
	}
	from := len(x.buf)
	plan, ok := r.plan(x.buf, x.request)
	x.buf = plan[:from]
	if b, known := r.plans[string(plan[from:])]; ok && known {
		return b, nil
	}
	return r.budget, nil
}

// clampCost keeps a cost that a function computed within what a limit can answer to:
// an error here would be a hole, or a request that no wait makes acceptable.
func clampCost(cost, capacity int64) int64 {
	if cost < 0 {
		return 1
	}
	return min(cost, capacity)
}

// status is the one to refuse with by the answers so far, or 0. tentative says that it
// rests on denials alone that may not last.
func (x *exchange) status() (status int, tentative bool) {
	for i := range x.calls {
		c := &x.calls[i]
		switch {
		case c.rule.shadow:
		case c.verdict.denies():
			tentative = c.decision.Tentative && (status != http.StatusTooManyRequests || tentative)
			status = http.StatusTooManyRequests
		case c.verdict == Unavailable && status != http.StatusTooManyRequests:
			status = http.StatusServiceUnavailable
		case c.verdict == Canceled && status == 0:
			status = statusClientGone
		}
	}
	return status, tentative && status == http.StatusTooManyRequests
}

// judge turns the limiter's answer into the rule's verdict.
func (c *call) judge(ctx context.Context) Verdict {
	switch {
	case c.err != nil:
		return c.judgeError(ctx)
	case c.decision.Degraded && c.rule.outage == OutageOpen:
		return Open
	case c.decision.Degraded && c.rule.outage == OutageClosed:
		return Unavailable
	case c.cost == 0:
		return Admitted
	case c.looked && c.decision.Remaining >= c.cost:
		return Returned // it would have been admitted
	case c.decision.Allowed && !c.looked:
		return Admitted
	}
	return Denied
}

// judgeError is the verdict where there is no decision.
func (c *call) judgeError(ctx context.Context) Verdict {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Canceled
	case isMistake(c.err):
		// No outage: the question was wrong. To pass would turn whatever a client can
		// do to cause it into a way around the limit.
		return Unavailable
	case c.rule.outage == OutageClosed:
		return Unavailable
	case ctx.Err() != nil:
		// No outage either: the request came too late, or was made to.
		return Canceled
	}
	return Open
}

// isMistake reports whether a limiter's error is about the question.
func isMistake(err error) bool {
	return errors.Is(err, limiter.ErrLimit) || errors.Is(err, limiter.ErrKey) || errors.Is(err, limiter.ErrCost)
}

// count keeps the Stats.
func (m *Middleware) count(x *exchange, status int) {
	if status == http.StatusServiceUnavailable {
		m.stats.unavailable.Add(1)
	}
	open, local := false, false
	for i := range x.calls {
		c := &x.calls[i]
		open = open || status == 0 && c.verdict == Open && c.err != nil && !c.rule.shadow
		local = local || c.outage != nil && !c.rule.shadow
	}
	if open {
		m.stats.failedOpen.Add(1)
	}
	if local {
		m.stats.local.Add(1)
	}
}
