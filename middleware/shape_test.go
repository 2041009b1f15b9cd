package middleware_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
)

// The optional interfaces of a ResponseWriter, each noting that it was called.
type (
	flushes  struct{ calls *[]string }
	hijacks  struct{ calls *[]string }
	pushes   struct{ calls *[]string }
	reads    struct{ calls *[]string }
	notifies struct{ calls *[]string }
)

var errHijack = errors.New("no connection")

func (f flushes) Flush() { *f.calls = append(*f.calls, "flush") }
func (h hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	*h.calls = append(*h.calls, "hijack")
	return nil, nil, errHijack
}
func (p pushes) Push(target string, _ *http.PushOptions) error {
	*p.calls = append(*p.calls, "push "+target)
	return nil
}
func (r reads) ReadFrom(src io.Reader) (int64, error) {
	*r.calls = append(*r.calls, "read")
	return io.Copy(io.Discard, src)
}
func (n notifies) CloseNotify() <-chan bool {
	*n.calls = append(*n.calls, "notify")
	return nil
}

// The wrapper has the optional interfaces that the wrapped writer has, no more and no less,
// whichever they are, and each of them reaches it.
func TestShapes(t *testing.T) {
	type notifier interface{ CloseNotify() <-chan bool }
	shapeOf := func(w http.ResponseWriter) (n int) {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, p := w.(http.Pusher)
		_, r := w.(io.ReaderFrom)
		_, c := w.(notifier)
		for k, has := range []bool{f, h, p, r, c} {
			if has {
				n |= 1 << k
			}
		}
		return n
	}
	for n, writer := range writers {
		var calls, want []string
		w := writer(wrapped{httptest.NewRecorder()}, &calls)
		require.Equal(t, n, shapeOf(w))
		called := false
		h := wrap(t, &script{}, counting(), http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
			called = true
			assert.NotEqual(t, w, got, "wrapped")
			assert.Equal(t, n, shapeOf(got), "%05b", n)
			assert.Equal(t, w, got.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
			if f, ok := got.(http.Flusher); ok {
				f.Flush()
				assert.NoError(t, http.NewResponseController(got).Flush())
				want = append(want, "flush", "flush")
			}
			if h, ok := got.(http.Hijacker); ok {
				_, _, err := h.Hijack()
				assert.ErrorIs(t, err, errHijack)
				want = append(want, "hijack")
			}
			if p, ok := got.(http.Pusher); ok {
				assert.NoError(t, p.Push("/x", nil))
				want = append(want, "push /x")
			}
			if r, ok := got.(io.ReaderFrom); ok {
				k, err := r.ReadFrom(strings.NewReader("abc"))
				assert.NoError(t, err)
				assert.Equal(t, int64(3), k)
				want = append(want, "read")
			}
			if c, ok := got.(notifier); ok {
				c.CloseNotify()
				want = append(want, "notify")
			}
			fmt.Fprint(got, "x")
		}))
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		assert.True(t, called)
		assert.Equal(t, want, calls, "%05b", n)
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
