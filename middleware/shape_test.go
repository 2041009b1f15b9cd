package middleware_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/middleware"
)

// hijackable is a writer as some handlers wrap it: it hijacks, but reads no source.
type hijackable struct{ *httptest.ResponseRecorder }

var errHijack = errors.New("no connection")

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, errHijack }

// The wrapper has the optional interfaces that the wrapped writer has: no more, no less.
func TestShapes(t *testing.T) {
	type shape struct{ flush, hijack, read, push bool }
	shapeOf := func(w http.ResponseWriter) (s shape) {
		_, s.flush = w.(http.Flusher)
		_, s.hijack = w.(http.Hijacker)
		_, s.read = w.(io.ReaderFrom)
		_, s.push = w.(http.Pusher)
		return s
	}
	for _, w := range []http.ResponseWriter{
		&sink{http.Header{}}, httptest.NewRecorder(), hijackable{httptest.NewRecorder()},
	} {
		called := false
		h := wrap(t, &script{}, counting(), http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
			called = true
			assert.NotEqual(t, w, got, "wrapped")
			assert.Equal(t, shapeOf(w), shapeOf(got), "%T", w)
			assert.Equal(t, w, got.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
			if hj, ok := got.(http.Hijacker); ok {
				_, _, err := hj.Hijack()
				assert.ErrorIs(t, err, errHijack)
			}
		}))
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		assert.True(t, called)
	}
}

// Without a rule that judges outcomes the handler gets the server's own writer.
func TestNoWrapperWithoutNeed(t *testing.T) {
	w := httptest.NewRecorder()
	h := wrap(t, &script{}, middleware.ReferencePolicy(), http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
		assert.Same(t, w, got)
	}))
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
}
