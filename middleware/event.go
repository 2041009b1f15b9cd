package middleware

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/limiter"
)

// Verdict is what became of one rule's decision about one request.
type Verdict uint8

const (
	// Admitted: the rule lets the request pass.
	Admitted Verdict = iota
	// Denied: nothing is left. A shadow rule's denial has no effect.
	Denied
	// Returned: the rule would let pass and took nothing, or gave back what it took,
	// because another rule refused the request or because its outcome does not count.
	Returned
	// Open: the limiter could not decide properly, and the rule lets pass then.
	Open
	// Unavailable: the limiter could not decide properly, and the rule refuses then.
	Unavailable
	// KeyMissing: the rule's key is absent, and the rule refuses then.
	KeyMissing
	// Canceled: the client went away, or the request's deadline passed, before there was
	// a decision.
	Canceled
	// Blocked: the limit's quota is 0, so the rule admits nothing.
	Blocked
	// Banned: the subject is banned by the rule's [Ban], or this refusal began a ban. The
	// Decision has its rest.
	Banned
)

// String gives the name for logs and metrics.
func (v Verdict) String() string {
	names := [...]string{"admitted", "denied", "returned", "open", "unavailable", "key-missing", "canceled", "blocked", "banned"}
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// refuses reports whether the verdict, on an enforcing rule, stops the request.
func (v Verdict) refuses() bool {
	return v.denies() || v == Unavailable || v.forbids()
}

// denies reports whether the verdict refuses until some time has passed.
func (v Verdict) denies() bool { return v == Denied || v == Banned }

// forbids reports whether the verdict refuses for a reason that no wait removes, and about
// which the limiter was not asked.
func (v Verdict) forbids() bool { return v == KeyMissing || v == Blocked }

// Event tells what one rule decided. A request gives one Event per rule, and one more
// with Returned for each cost that is given back after the response.
type Event struct {
	// Context is the request's.
	Context context.Context
	// Method is the request's method.
	Method string
	// Pattern is the pattern that chose the rule, "" for the default: of these there
	// are few, so it can label a metric, which a path cannot.
	Pattern string
	// Rule is the rule's name.
	Rule string
	// Shadow says that the rule has no effect.
	Shadow bool
	// Limit is the limit that counted, by the request's plan.
	Limit limiter.Limit
	// Cost is what the request asked for.
	Cost int64
	// Decision is the limiter's; the zero Decision if there is none.
	Decision limiter.Decision
	// Verdict is what the rule made of it.
	Verdict Verdict
	// Path is how the decision came about: held, forwarded, leased, remembered, degraded. It
	// means something where the limiter was asked and gave a decision.
	Path limiter.Path
	// Took is how long the request waited for the decisions of all its rules together.
	Took time.Duration
	// RequestID names the request, as a refusal does (see [Refusal]); "" for a request that
	// passes without a name.
	RequestID string
	// KeyID stands for the budget: a number that is the same for all requests of one rule and subject,
	// on all nodes of a cluster ([Identifier]), and tells nothing of the subject.
	KeyID uint64
	// Subject is the raw subject, only if [Policy].RevealKeys is set.
	Subject string
	// Parts are the parts of the subject, only with RevealKeys: those of a [Join], in its order
	// and without the lengths that keep them apart, and what a [FirstOf] found. Else it
	// is the subject alone.
	Parts []string
	// Err is why the limiter gave no decision. Where the rule then takes that of this
	// process ([OutageLocal]), Decision is set all the same, and degraded.
	Err error
}

// Stats counts what should not happen. What should, a policy's OnDecision can count.
type Stats struct {
	FailedOpen  int64 // requests that passed without a decision
	Local       int64 // requests that this process decided alone, as the limiter did not
	Unavailable int64 // requests refused with 503
	LostReturns int64 // costs that could not be given back
	HookPanics  int64 // panics in OnDecision
}

// stats is Stats in the making.
type stats struct {
	failedOpen, local, unavailable, lostReturns, hookPanics atomic.Int64
}

// Stats returns the counts since New.
func (m *Middleware) Stats() Stats {
	return Stats{
		FailedOpen:  m.stats.failedOpen.Load(),
		Local:       m.stats.local.Load(),
		Unavailable: m.stats.unavailable.Load(),
		LostReturns: m.stats.lostReturns.Load(),
		HookPanics:  m.stats.hookPanics.Load(),
	}
}

// report tells OnDecision about one call.
func (m *Middleware) report(x *exchange, c *call) {
	if x.policy.onDecision != nil {
		m.tell(x.policy.onDecision, x.event(c))
	}
}

// event is what there is to tell about one call.
func (x *exchange) event(c *call) Event {
	e := Event{
		Context: x.ctx, Method: x.request.Method, Pattern: c.rule.pattern,
		Rule: c.rule.name, Shadow: c.rule.shadow, Limit: c.budget.limit, Cost: c.cost,
		Decision: c.decision, Verdict: c.verdict, Err: c.err, Path: c.decision.Path, Took: x.took, RequestID: x.id,
		KeyID: x.m.keyID(c.key),
	}
	if c.decision.Degraded {
		e.Path = limiter.PathDegraded
	}
	if c.outage != nil {
		e.Err = c.outage
	}
	if x.policy.revealKeys {
		e.Subject = string(x.buf[c.subjectFrom:c.subjectTo])
		e.Parts = []string{e.Subject}
		if c.rule.parts != nil && !x.given {
			e.Parts = c.rule.parts(e.Subject)
		}
	}
	return e
}

// events is what there is to tell about a request.
func (x *exchange) events() []Event {
	all := make([]Event, len(x.calls))
	for i := range x.calls {
		all[i] = x.event(&x.calls[i])
	}
	return all
}

// tell calls a hook that must not be able to fail a request.
func (m *Middleware) tell(hook func(Event), e Event) {
	defer func() {
		if recover() != nil {
			m.stats.hookPanics.Add(1)
		}
	}()
	hook(e)
}
