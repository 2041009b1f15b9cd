package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// full is the observer with those optional interfaces that the wrapped writer has: one
// that has more would promise what it cannot do, one that has less would break
// streaming, upgrades and sendfile. The set of them is the number of a shape.
func (o *observer) full() http.ResponseWriter {
	n := 0
	if _, ok := o.ResponseWriter.(http.Flusher); ok {
		n |= 1
	}
	if _, ok := o.ResponseWriter.(http.Hijacker); ok {
		n |= 2
	}
	if _, ok := o.ResponseWriter.(http.Pusher); ok {
		n |= 4
	}
	if _, ok := o.ResponseWriter.(io.ReaderFrom); ok {
		n |= 8
	}
	if _, ok := o.ResponseWriter.(closeNotifier); ok {
		n |= 16
	}
	return shapes[n](o)
}

// flusher also flushes.
type flusher struct{ o *observer }

// Flush begins the response if need be.
func (f flusher) Flush() {
	f.o.imply()
	f.o.ResponseWriter.(http.Flusher).Flush()
}

// hijacker also hands over the connection.
type hijacker struct{ o *observer }

// Hijack notes that there will be no ordinary response.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.o.ResponseWriter.(http.Hijacker).Hijack()
	h.o.hijacked = h.o.hijacked || err == nil
	return conn, rw, err
}

// pusher also pushes.
type pusher struct{ o *observer }

// Push forwards to the server.
func (p pusher) Push(target string, opts *http.PushOptions) error {
	return p.o.ResponseWriter.(http.Pusher).Push(target, opts)
}

// reader also reads from a source, which is how files are sent without copying.
type reader struct{ o *observer }

// ReadFrom begins the response if need be.
func (r reader) ReadFrom(src io.Reader) (int64, error) {
	r.o.imply()
	return r.o.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
}

// closeNotifier is http.CloseNotifier, which is deprecated and which frameworks assert.
type closeNotifier interface{ CloseNotify() <-chan bool }

// notifier also tells that the client is gone.
type notifier struct{ o *observer }

// CloseNotify forwards to the server.
func (n notifier) CloseNotify() <-chan bool { return n.o.ResponseWriter.(closeNotifier).CloseNotify() }
