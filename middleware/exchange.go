package middleware

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// exchange is one request on its way through the policy.
type exchange struct {
	m       *Middleware
	turn    atomic.Uint64 // how many requests have used it: an Exchange of an earlier one does nothing
	policy  *compiled
	route   *route
	request *http.Request
	ctx     context.Context // the request's
	made    *made           // the request of a Call
	get     func(context.Context, string) []string
	calls   []call
	buf     []byte        // subjects and keys of the calls
	asked   time.Time     // before the limiter was, where something may be given back
	took    time.Duration // until the decision, where somebody will hear of it
	id      string        // of the request, where somebody will hear of it
	subject string        // the handler's, in the place of what the rule's key finds
	given   bool          // whether there is a subject of the handler's
	asks    []ask         // by descriptors: one for each of the route's rules
	stack   route         // of these
	three   []string      // X-RateLimit-*, not yet in a map
	lazy    bool          // they are to stay so
	domain  string        // of these
	refused bool          // all is settled
	kept    []keptHeader  // to set again just before the response begins
}

// Exchange is a request that the policy lets pass, between Begin and Done. The zero Exchange
// is one that nothing depends on. It is a value, and small.
type Exchange struct {
	x       *exchange // nil if nothing depends on what becomes of the request
	turn    uint64
	request *http.Request
}

// Begin asks the policy about a request, for whoever is no [http.Handler]: an adapter of a
// framework. It sets the limit headers in w's header map. If ok is false it has written
// the refusal to w as well, and the request ends there. Else the handler runs, with
// [Exchange.Request], and after it [Exchange.Done] must be called: also when it panics.
func (m *Middleware) Begin(w http.ResponseWriter, r *http.Request) (e Exchange, ok bool) {
	return m.BeginRoute(w, r, "")
}

// BeginRoute is Begin where it is known which pattern the router has chosen, in its own
// syntax, as [Policy].Route would tell it; "" means that it has chosen none, and the policy's
// Route is asked.
func (m *Middleware) BeginRoute(w http.ResponseWriter, r *http.Request, chosen string) (e Exchange, ok bool) {
	p := m.policy.Load()
	rt := p.find(r, chosen)
	if rt == nil {
		return Exchange{request: r}, true
	}
	x := m.begin(p, rt, r)
	h := w.Header()
	if status := m.rule(x, h); status != 0 {
		if status == statusClientGone {
			w.WriteHeader(status)
		} else {
			p.answer(w, x.request, p.refuse(h, x, status))
		}
		m.end(x)
		return Exchange{request: r}, false
	}
	if p.inContext {
		r = withDecisions(r, x.events())
		x.request = r
	}
	if p.keepHeaders {
		x.kept = p.limitHeaders(h)
	}
	if rt.observed || p.keepHeaders {
		return x.handle(), true
	}
	m.end(x)
	return Exchange{request: r}, true
}

// rule asks for the decisions, tells h and the hook of them, and returns the status to refuse
// with, or 0.
func (m *Middleware) rule(x *exchange, h http.Header) (status int) {
	p := x.policy
	var began time.Time
	if p.heard {
		began = time.Now()
	}
	status = m.decide(x)
	x.refused = status != 0
	if status != http.StatusForbidden && status != statusClientGone {
		p.setHeaders(h, x)
	}
	named := p.echoID || status != 0 && status != statusClientGone
	if x.get != nil && (p.heard || named) {
		x.wantID()
	}
	if p.heard {
		x.took = time.Since(began)
		x.id = p.knownID(h, x.request)
	}
	if x.id == "" && named {
		x.id = p.requestID(h, x.request)
	}
	for i := range x.calls {
		m.report(x, &x.calls[i])
	}
	if p.echoID && status == 0 {
		h[headerRequestID] = []string{x.id}
	}
	return status
}

// begin takes an exchange from the pool.
func (m *Middleware) begin(p *compiled, rt *route, r *http.Request) *exchange {
	x := m.exchanges.Get().(*exchange)
	x.m, x.policy, x.route, x.request, x.ctx = m, p, rt, r, r.Context()
	return x
}

// handle is what a caller of Begin holds of an exchange.
func (x *exchange) handle() Exchange { return Exchange{x, x.turn.Load(), x.request} }

// end puts an exchange back, without what would keep a request or a large key in memory.
func (m *Middleware) end(x *exchange) {
	const bufMax = 4 << 10
	if cap(x.buf) > bufMax {
		return
	}
	clear(x.calls)
	x.calls, x.buf = x.calls[:0], x.buf[:0]
	x.policy, x.route, x.request, x.ctx, x.kept = nil, nil, nil, nil, nil
	x.get, x.three, x.lazy = nil, nil, false
	x.made.forget()
	if len(x.asks) > 0 {
		x.unask()
	}
	x.asked, x.took, x.id, x.subject, x.given, x.refused = time.Time{}, 0, "", "", false, false
	m.exchanges.Put(x)
}

// Request is the request that the handler should get: it carries the decisions, if the policy
// says so ([Policy].InContext). Of an Outcome it is nil.
func (e Exchange) Request() *http.Request { return e.request }

// Done tells with which status the response began: so that the rules that count by outcome
// ([Rule].Count) give back what does not count. A handler that panicked before it answered
// has 500, one that did not say a status 200, a hijacked connection 101. Done may be called
// more than once, and does nothing then.
func (e Exchange) Done(status int) {
	if e.x == nil || !e.x.turn.CompareAndSwap(e.turn, e.turn+1) {
		return
	}
	if !e.x.refused {
		e.x.m.settle(e.x, status)
	}
	e.x.m.end(e.x)
}

// Observed reports whether anything depends on Done: else it may be left out. Of an Outcome
// Decisions and Write do.
func (e Exchange) Observed() bool { return e.x != nil }

// ByOutcome reports whether a rule counts by outcome: then an adapter must find out the status.
func (e Exchange) ByOutcome() bool { return e.x != nil && e.x.route != nil && e.x.route.observed }

// Keeps reports whether [Exchange.Restore] has anything to do, by [Policy].KeepHeaders.
func (e Exchange) Keeps() bool { return e.x != nil && len(e.x.kept) > 0 }

// Restore sets the limit headers again, just before the response begins and before Done.
func (e Exchange) Restore(h http.Header) {
	if e.x == nil {
		return
	}
	for _, k := range e.x.kept {
		h[k.name] = k.values
	}
}
