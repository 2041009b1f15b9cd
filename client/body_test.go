package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refusing starts a server that refuses two of three requests with a body, and
// counts the connections made to it.
func refusing(t *testing.T, body string) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var connections, requests atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Retry-After", "0")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, body)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv, &connections
}

func TestConnectionsAreReused(t *testing.T) {
	for _, tc := range []struct {
		name string
		body string
		most int64
	}{
		{"the contract's body", `{"message":"Rate limit exceeded, retry in 1 second","code":"RATE_LIMIT_EXCEEDED","requestId":"r"}`, 1},
		{"a body without a length", strings.Repeat("x", drainMax-1), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv, connections := refusing(t, tc.body)
			c := New(&Transport{Base: &http.Transport{}, Retry: Retry{Backoff: time.Microsecond}})
			t.Cleanup(c.CloseIdleConnections)
			for range 5 {
				resp, err := c.Post(srv.URL, "text/plain", strings.NewReader("grant"))
				require.NoError(t, err)
				require.Equal(t, http.StatusNoContent, resp.StatusCode)
				resp.Body.Close()
			}
			assert.Equal(t, tc.most, connections.Load(), "15 attempts")
		})
	}
}

func TestOverlongBodyIsNotReadToItsEnd(t *testing.T) {
	body := &endless{}
	server := new(script).then(429, "", "Retry-After", "0").then(200, "")
	refuse := server.answers[0]
	server.answers[0] = func() (*http.Response, error) {
		resp, err := refuse()
		resp.Body, resp.ContentLength = body, -1
		return resp, err
	}
	resp, err := (&Transport{Base: server, Retry: Retry{Backoff: time.Microsecond}}).RoundTrip(request(t, t.Context(), "GET", ""))
	require.NoError(t, err)
	assert.Equal(t, 200, resp.StatusCode)
	assert.True(t, body.closed.Load())
	assert.LessOrEqual(t, body.taken.Load(), int64(drainMax))
}

// endless is a body that never ends.
type endless struct {
	taken  atomic.Int64
	closed atomic.Bool
}

func (e *endless) Read(p []byte) (int, error) {
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error { e.closed.Store(true); return nil }

func TestTricklingBodyHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, w := io.Pipe() // nothing is ever written
		defer w.Close()
		server := new(script).then(429, "", "Retry-After", "1").then(200, "")
		refuse := server.answers[0]
		server.answers[0] = func() (*http.Response, error) {
			resp, err := refuse()
			resp.Body, resp.ContentLength = r, -1
			return resp, err
		}
		resp, err := (&Transport{Base: server}).RoundTrip(request(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		assert.Equal(t, 200, resp.StatusCode)
		assert.Less(t, time.Since(start), bodyTimeMax+2*time.Second)
	})
}

func TestPeekPutsTheBodyBack(t *testing.T) {
	for _, body := range []string{"", "{", unavailable, strings.Repeat(" ", bodyMax) + "{}", strings.Repeat("x", bodyMax+1)} {
		resp := respond(503, body, "Content-Type", "application/json")
		resp.ContentLength = -1
		first := peek(resp, bodyTimeMax)
		assert.Equal(t, first, peek(resp, bodyTimeMax), "a second look sees the same")
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, body, string(got))
	}

	cut := errors.New("cut")
	resp := respond(503, "", "Content-Type", "application/json")
	resp.Body, resp.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("{\"co"), failed{cut})), -1
	assert.Equal(t, refusal{}, peek(resp, bodyTimeMax))
	got, err := io.ReadAll(resp.Body)
	assert.Equal(t, `{"co`, string(got))
	assert.ErrorIs(t, err, cut, "what cut the body short is not hidden")
}
