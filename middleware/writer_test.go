package middleware_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// counting is a policy whose rule counts failures, so that handlers get the wrapper.
func counting() middleware.Policy {
	p := daily(100)
	p.Default[0].Count = middleware.CountFailures
	return p
}

// bothWays runs a test with the server's own ResponseWriter and with the wrapper.
func bothWays(t *testing.T, run func(t *testing.T, p middleware.Policy)) {
	t.Run("bare", func(t *testing.T) { run(t, daily(100)) })
	t.Run("wrapped", func(t *testing.T) { run(t, counting()) })
	t.Run("kept", func(t *testing.T) {
		p := counting()
		p.KeepHeaders = true
		run(t, p)
	})
}

// serve is a real server of the handler behind the policy.
func serve(t *testing.T, p middleware.Policy, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(wrap(t, limiter.NewLocal(limiter.Config{}), p, h))
	t.Cleanup(s.Close)
	return s
}

// fetch gets a page and requires the limit headers on it.
func fetch(t *testing.T, target string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(target)
	require.NoError(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	assert.Equal(t, "100", r.Header.Get("X-RateLimit-Limit"))
	assert.Equal(t, "99", r.Header.Get("X-RateLimit-Remaining"))
	return r, string(b)
}

func TestStreaming(t *testing.T) {
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		goOn := make(chan struct{})
		s := serve(t, p, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "one\n")
			w.(http.Flusher).Flush()
			<-goOn
			fmt.Fprint(w, "two\n")
			assert.NoError(t, http.NewResponseController(w).Flush())
		})
		r, err := http.Get(s.URL)
		require.NoError(t, err)
		defer r.Body.Close()
		assert.Equal(t, "99", r.Header.Get("X-RateLimit-Remaining"))
		body := bufio.NewReader(r.Body)
		line, err := body.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "one\n", line, "before the handler has ended")
		close(goOn)
		rest, err := io.ReadAll(body)
		require.NoError(t, err)
		assert.Equal(t, "two\n", string(rest))
	})
}

func TestDeadlinesAndFullDuplex(t *testing.T) {
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		s := serve(t, p, func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			assert.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
			assert.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
			assert.NoError(t, c.EnableFullDuplex())
		})
		fetch(t, s.URL)
	})
}

func TestHijackAndUpgrade(t *testing.T) {
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		s := serve(t, p, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Upgrade", "echo")
			w.Header().Set("Connection", "Upgrade")
			if r.URL.Path == "/upgrade" {
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if !assert.NoError(t, err) {
				return
			}
			defer conn.Close()
			if r.URL.Path != "/upgrade" {
				fmt.Fprint(rw, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nby hand")
				rw.Flush()
				return
			}
			line, _ := rw.ReadString('\n')
			fmt.Fprint(rw, "echo "+line)
			rw.Flush()
		})
		r, err := http.NewRequest("GET", s.URL+"/upgrade", nil)
		require.NoError(t, err)
		r.Header.Set("Upgrade", "echo")
		r.Header.Set("Connection", "Upgrade")
		a, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, a.StatusCode)
		assert.Equal(t, "99", a.Header.Get("X-RateLimit-Remaining"))
		conn := a.Body.(io.ReadWriteCloser)
		defer conn.Close()
		fmt.Fprint(conn, "hello\n")
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "echo hello\n", line)

		b, err := http.Get(s.URL)
		require.NoError(t, err)
		defer b.Body.Close()
		text, err := io.ReadAll(b.Body)
		require.NoError(t, err)
		assert.Equal(t, "by hand", string(text))
	})
}

func TestInformationalAnswers(t *testing.T) {
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		s := serve(t, p, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			w.WriteHeader(http.StatusNotFound)
		})
		var codes []int
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			codes = append(codes, code)
			return nil
		}}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.URL, nil)
		require.NoError(t, err)
		a, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer a.Body.Close()
		assert.Equal(t, []int{103, 102}, codes)
		assert.Equal(t, http.StatusNotFound, a.StatusCode)
		assert.Equal(t, "99", a.Header.Get("X-RateLimit-Remaining"))
	})
}

// Files still go through io.ReaderFrom, which is how net/http gets to sendfile.
func TestFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("x", 100_000)), 0o600))
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		s := serve(t, p, func(w http.ResponseWriter, r *http.Request) {
			_, reads := w.(io.ReaderFrom)
			assert.True(t, reads)
			http.ServeFile(w, r, file)
		})
		_, body := fetch(t, s.URL)
		assert.Len(t, body, 100_000)
	})
}

func TestHTTP2(t *testing.T) {
	bothWays(t, func(t *testing.T, p middleware.Policy) {
		s := httptest.NewUnstartedServer(wrap(t, limiter.NewLocal(limiter.Config{}), p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, 2, r.ProtoMajor)
			_, flushes := w.(http.Flusher)
			_, pushes := w.(http.Pusher)
			_, hijacks := w.(http.Hijacker)
			assert.Equal(t, []bool{true, true, false}, []bool{flushes, pushes, hijacks}, "what the server's writer can")
			assert.ErrorIs(t, w.(http.Pusher).Push("/x", nil), http.ErrNotSupported, "as the client wants no pushes")
			_, _ = io.WriteString(w, "two")
		})))
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		a, err := s.Client().Get(s.URL)
		require.NoError(t, err)
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		require.NoError(t, err)
		assert.Equal(t, "two", string(body))
		assert.Equal(t, "99", a.Header.Get("X-RateLimit-Remaining"))
	})
}

// A reverse proxy clears the header map after a 1xx answer and adds the upstream's own
// limit headers. KeepHeaders holds against both.
func TestKeepHeadersBehindAProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-RateLimit-Limit", "9999")
		w.Header().Set("X-Upstream", "yes")
		fmt.Fprint(w, "upstream")
	}))
	t.Cleanup(upstream.Close)
	u, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	p := daily(100)
	p.KeepHeaders, p.EchoRequestID, p.Dialects = true, true, middleware.XRateLimit|middleware.IETF
	s := serve(t, p, httputil.NewSingleHostReverseProxy(u).ServeHTTP)
	a, body := fetch(t, s.URL)
	assert.Equal(t, "upstream", body)
	assert.Equal(t, []string{"100"}, a.Header["X-Ratelimit-Limit"])
	assert.Equal(t, "yes", a.Header.Get("X-Upstream"))
	assert.NotEmpty(t, a.Header.Get("RateLimit"))
	assert.Len(t, a.Header.Get("X-Request-Id"), 36)
}
