package middleware

import (
	"context"
	"fmt"
	"net/http"
)

// Outcome is what a policy says about a [Call]. Its Done tells with which status the call ended,
// in the words of HTTP, as [Exchange.Done] does; call it also where the policy refused.
type Outcome struct {
	Exchange
	// Allowed says that the call may go on. Done must be called then, also where it panics.
	Allowed bool
	header  http.Header
	// Refusal is what a refused caller is told; zero if the call is allowed.
	Refusal Refusal
}

// Decide asks the policy about what is not a request of net/http. The error is that of a context
// which is over before there was a decision, or says that the policy does not fit
// [Call].IgnoreCase; the call must not go on then.
func (m *Middleware) Decide(ctx context.Context, c Call) (Outcome, error) {
	p := m.policy.Load()
	if c.IgnoreCase && p.table.upper != "" {
		return Outcome{}, fmt.Errorf("middleware: pattern %q has upper case, but the router ignores case: write it in lower case", p.table.upper)
	}
	x := m.exchanges.Get().(*exchange)
	x.m, x.policy = m, p
	x.requestOf(ctx, &c, p.reads)
	switch {
	case len(c.Descriptors) > 0:
		x.route = x.askFor(&c)
	case c.Rule == "":
		x.route = p.find(x.request, c.Route)
	default:
		x.route = p.asked[c.Rule]
	}
	switch {
	case x.route != nil:
	case c.Rule == "" || len(c.Descriptors) > 0:
		m.end(x)
		return Outcome{Allowed: true}, nil
	default:
		return m.unknownRule(x, x.made.out), nil
	}
	x.subject, x.given = c.Subject, c.Rule != ""
	o := Outcome{Exchange: x.handle(), header: x.made.out}
	x.lazy = true
	switch status := m.rule(x, o.header); status {
	case 0:
		if o.Allowed = true; p.keepHeaders {
			x.kept = p.limitHeaders(o.Header())
		}
	case statusClientGone:
		o.Done(status)
		return Outcome{}, ctx.Err()
	default:
		o.Refusal = p.refuse(o.Header(), x, status)
	}
	return o, nil
}

// unknownRule refuses what asks for a rule that the policy does not have: to pass would be a hole.
func (m *Middleware) unknownRule(x *exchange, h http.Header) Outcome {
	m.stats.unavailable.Add(1)
	x.wantID()
	o := Outcome{Exchange: x.handle(), header: h}
	x.id, x.refused = x.policy.requestID(h, x.request), true
	o.Refusal = x.policy.refuse(h, x, http.StatusServiceUnavailable)
	return o
}

// Header has the limit headers as an HTTP response would have them, until Done: for metadata. It is
// nil where the policy has no rule for the call.
func (o Outcome) Header() http.Header {
	if o.x != nil && o.x.turn.Load() == o.turn {
		o.x.spell(o.header)
	}
	return o.header
}

// XRateLimit has the values of X-RateLimit-Limit, -Remaining and -Reset, where those are all limit
// headers that there are, for whoever needs no map: three, or the first alone where there was no
// decision. Else it is nil, and Header has all of them.
func (o Outcome) XRateLimit() []string {
	if o.x == nil || o.x.turn.Load() != o.turn || len(o.header) > 0 {
		return nil
	}
	return o.x.three
}

// Context is ctx with the decisions for [FromContext], if [Policy].InContext says so.
func (o Outcome) Context(ctx context.Context) context.Context {
	if o.x == nil || !o.x.policy.inContext {
		return ctx
	}
	return context.WithValue(ctx, decisionsKey{}, o.Decisions())
}

// Decisions is what each rule said, until Done.
func (o Outcome) Decisions() []Event {
	if o.x == nil || o.x.turn.Load() != o.turn {
		return nil
	}
	return o.x.events()
}

// Write writes the refusal as an HTTP response, with its headers and the body that the
// policy chooses, before Done.
func (o Outcome) Write(w http.ResponseWriter) {
	if o.x == nil || o.Allowed {
		return
	}
	h := w.Header()
	for name, values := range o.Header() {
		h[name] = values
	}
	o.x.policy.answer(w, o.x.request, o.Refusal)
}
