package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// odd is a handler that ends in another way than by a plain answer.
type odd struct {
	name    string
	handler http.HandlerFunc
	status  int  // that the client sees; 0 if the connection breaks before
	failure bool // whether it counts where only failures do
}

// flush sends what is there.
func flush(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush() // an error shows at the client
}

func odds() []odd {
	return []odd{
		{"panic", func(http.ResponseWriter, *http.Request) { panic("odd") }, 500, true},
		{"abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, true},
		{"panic in the middle of a stream", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			flush(w)
			panic(http.ErrAbortHandler)
		}, 200, false},
		{"stream", func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				_, _ = io.WriteString(w, "part ")
				flush(w)
			}
		}, 200, false},
		{"client leaves a stream", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "leave")
			flush(w)
			<-r.Context().Done()
		}, 200, false},
		{"hijack", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
		}, 0, false},
		{"upgrade", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "odd")
			w.WriteHeader(http.StatusSwitchingProtocols)
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
		}, 101, false},
		{"1xx, then 200", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
		}, 200, false},
		{"1xx, then 404", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}, 404, true},
		{"1xx, then panic", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			panic("odd")
		}, 500, true},
		{"304", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, 304, false},
		{"a source copied", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) }, 200, false},
		{"headers rewritten", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Odd", "yes")
			w.WriteHeader(http.StatusTeapot)
		}, 418, true},
	}
}

// recovering is the outer handler that most services have. It passes aborts on, as net/http
// wants it, and tells when a request has ended on the server's side: a client may see the
// answer before.
func recovering(next http.Handler, ended chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			ended <- struct{}{}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			if p != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// However a handler ends: the headers are on whatever the client sees, one request spends
// one, and where only failures count it is given back if it was none.
func TestOddHandlers(t *testing.T) {
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		for _, o := range odds() {
			t.Run(o.name, func(t *testing.T) {
				mux := http.NewServeMux()
				mux.HandleFunc("/odd", o.handler)
				mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
				ended := make(chan struct{}, 1)
				h := recovering(wrap(t, limiter.NewLocal(limiter.Config{}), p, mux), ended)
				s := httptest.NewServer(h)
				defer s.Close()

				assert.Equal(t, o.status, oddly(t, s.URL+"/odd", "99"))
				<-ended
				spent := 1
				if p.Default[0].Count != nil && !o.failure {
					spent = 0
				}
				assert.Equal(t, http.StatusOK, oddly(t, s.URL+"/", fmt.Sprint(99-spent)))
			})
		}
	})
}

// oddly sends a request on a connection of its own, and returns the status, 0 if there was no
// answer. An answer must have the limit headers, with so much left.
func oddly(t *testing.T, target, left string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	require.NoError(t, err)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	a, err := tr.RoundTrip(r)
	if err != nil {
		return 0
	}
	defer a.Body.Close()
	assert.Equal(t, []string{"100"}, a.Header["X-Ratelimit-Limit"])
	assert.Equal(t, []string{left}, a.Header["X-Ratelimit-Remaining"])
	assert.Len(t, a.Header["X-Ratelimit-Reset"], 1)
	if a.StatusCode != http.StatusSwitchingProtocols {
		// Enough for the stream that this client leaves; the others end by themselves.
		head := make([]byte, 5)
		if n, _ := io.ReadFull(a.Body, head); string(head[:n]) == "leave" {
			return a.StatusCode
		}
		_, _ = io.Copy(io.Discard, a.Body)
	}
	return a.StatusCode
}
