package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// serveObserved runs the handler behind a wrapper, and gives back the cost of the rules
// that the outcome does not count for. It ends the exchange.
func (m *Middleware) serveObserved(w http.ResponseWriter, x *exchange, next http.Handler) {
	o := &observer{ResponseWriter: w}
	if x.policy.keepHeaders {
		o.kept = x.policy.limitHeaders(w.Header())
	}
	panicked := true
	defer func() {
		m.settle(x, o.outcome(panicked))
		m.end(x)
	}()
	next.ServeHTTP(o.full(), x.request)
	panicked = false
}

// settle gives back what the outcome does not count for.
func (m *Middleware) settle(x *exchange, status int) {
	for i := range x.calls {
		c := &x.calls[i]
		if c.rule.count == nil || !c.took() || c.rule.count(status) {
			continue
		}
		if m.give(x, c); c.returned {
			c.verdict = Returned
			m.report(x, c)
		}
	}
}

// observer is a ResponseWriter that notices the status, and can set headers again just
// before they are sent.
type observer struct {
	http.ResponseWriter
	status   int // 0 until the response has begun
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

// Write begins the response with 200 if need be.
func (o *observer) Write(b []byte) (int, error) {
	o.begin(http.StatusOK)
	return o.ResponseWriter.Write(b)
}

// WriteString saves the copy where the wrapped writer can.
func (o *observer) WriteString(s string) (int, error) {
	o.begin(http.StatusOK)
	return io.WriteString(o.ResponseWriter, s)
}

// Unwrap lets http.ResponseController reach the rest, such as deadlines.
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// full is the observer with those optional interfaces that the wrapped writer has: one
// that has more would promise what it cannot do, one that has less would break
// streaming, upgrades and sendfile. The shapes below are those of net/http's HTTP/1 and
// HTTP/2 servers, of test recorders, and of wrappers that other handlers make.
func (o *observer) full() http.ResponseWriter {
	f, flushes := o.ResponseWriter.(http.Flusher)
	if !flushes {
		return o
	}
	base := flusher{o, f}
	h, hijacks := o.ResponseWriter.(http.Hijacker)
	rf, reads := o.ResponseWriter.(io.ReaderFrom)
	if hijacks && reads {
		return &http1Writer{base, h, rf}
	}
	if hijacks {
		return &hijacker{base, h}
	}
	if p, pushes := o.ResponseWriter.(http.Pusher); pushes {
		return &http2Writer{base, p}
	}
	return &base
}

// flusher also flushes.
type flusher struct {
	*observer
	f http.Flusher
}

// Flush begins the response with 200 if need be.
func (w *flusher) Flush() {
	w.begin(http.StatusOK)
	w.f.Flush()
}

// FlushError is Flush for http.ResponseController, with the error that Flush hides.
func (w *flusher) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// hijacker also hands over the connection.
type hijacker struct {
	flusher
	h http.Hijacker
}

// Hijack notes that there will be no ordinary response.
func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.observer.hijack(w.h)
}

// http1Writer also hijacks, and reads from a source, which is how files are sent
// without copying.
type http1Writer struct {
	flusher
	h http.Hijacker
	r io.ReaderFrom
}

// Hijack notes that there will be no ordinary response.
func (w *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.observer.hijack(w.h)
}

// hijack hands over the connection.
func (o *observer) hijack(h http.Hijacker) (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.Hijack()
	o.hijacked = o.hijacked || err == nil
	return conn, rw, err
}

// ReadFrom begins the response with 200 if need be.
func (w *http1Writer) ReadFrom(src io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	return w.r.ReadFrom(src)
}

// http2Writer also pushes.
type http2Writer struct {
	flusher
	p http.Pusher
}

// Push forwards to the server.
func (w *http2Writer) Push(target string, opts *http.PushOptions) error {
	return w.p.Push(target, opts)
}
