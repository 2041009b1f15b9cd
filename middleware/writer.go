package middleware

import (
	"io"
	"net/http"
)

// serve runs the handler behind a wrapper that sees how it ends.
func (e Exchange) serve(w http.ResponseWriter, next http.Handler) {
	o := &observer{ResponseWriter: w, kept: e.x.kept}
	panicked := true
	defer func() { e.Done(o.outcome(panicked)) }()
	next.ServeHTTP(o.full(), e.request)
	panicked = false
}

// Observe is for adapters whose framework takes any ResponseWriter: the handler should write to
// seen, which notices the status and keeps the limit headers as Wrap does it; done is called
// after the handler in the place of Done, also when it panicked.
func (e Exchange) Observe(w http.ResponseWriter) (seen http.ResponseWriter, done func(panicked bool)) {
	if e.x == nil {
		return w, func(bool) {}
	}
	o := &observer{ResponseWriter: w, kept: e.x.kept}
	return o.full(), func(panicked bool) { e.Done(o.outcome(panicked)) }
}

// settle gives back what the outcome does not count for.
func (m *Middleware) settle(x *exchange, status int) {
	for i := range x.calls {
		c := &x.calls[i]
		if m.settleOne(x, c, status) {
			m.report(x, c)
		}
	}
}

// settleRefused is settle for an answer of the policy's own, before anything was reported.
func (m *Middleware) settleRefused(x *exchange, status int) {
	for i := range x.calls {
		m.settleOne(x, &x.calls[i], status)
	}
}

// settleOne reports whether it gave back what a rule took that counts by outcome.
func (m *Middleware) settleOne(x *exchange, c *call, status int) (returned bool) {
	if c.rule.count == nil || !c.took() {
		return false
	}
	if c.rule.count(status) {
		m.keepOne(c)
		return false
	}
	if m.give(x, c); c.returned {
		c.verdict = Returned
	}
	return c.returned
}

// observer is a ResponseWriter that notices the status, and can set headers again just
// before they are sent.
type observer struct {
	http.ResponseWriter
	status   int // 0 until the response has begun
	implied  int // status of a response that does not say its own; 0 means 200
	hijacked bool
	kept     []keptHeader
}

// keptHeader is a header to set again.
type keptHeader struct {
	name   string
	values []string
}

// limitHeaders lists what of h this policy has set.
func (p *compiled) limitHeaders(h http.Header) []keptHeader {
	var kept []keptHeader
	for _, name := range []string{headerLimit, headerRemaining, headerReset, headerDegraded, headerIETFPolicy, headerIETF} {
		if v, ok := h[name]; ok {
			kept = append(kept, keptHeader{name, v})
		}
	}
	if p.echoID {
		kept = append(kept, keptHeader{headerRequestID, h[headerRequestID]})
	}
	return kept
}

// begin notes the status with which the response begins.
func (o *observer) begin(status int) {
	if o.status != 0 {
		return
	}
	// Informational answers come before the response, except that after 101 there is none.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		o.status = status
	}
	h := o.Header()
	for _, k := range o.kept {
		h[k.name] = k.values
	}
}

// outcome is the status that counts when the handler has ended.
func (o *observer) outcome(panicked bool) int {
	switch {
	case o.status != 0:
		return o.status
	case o.hijacked:
		return http.StatusSwitchingProtocols
	case panicked:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// WriteHeader notes the status.
func (o *observer) WriteHeader(status int) {
	o.begin(status)
	o.ResponseWriter.WriteHeader(status)
}

// Write begins the response if need be.
func (o *observer) Write(b []byte) (int, error) {
	o.imply()
	return o.ResponseWriter.Write(b)
}

// WriteString saves the copy where the wrapped writer can.
func (o *observer) WriteString(s string) (int, error) {
	o.imply()
	return io.WriteString(o.ResponseWriter, s)
}

// imply begins a response of which nobody said the status.
func (o *observer) imply() {
	if o.status == 0 && o.implied != 0 {
		o.WriteHeader(o.implied)
		return
	}
	o.begin(http.StatusOK)
}

// FlushError flushes for http.ResponseController, which finds it also where a wrapper
// further in hides that it can.
func (o *observer) FlushError() error {
	o.imply()
	return http.NewResponseController(o.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the rest, such as deadlines.
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }
