package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// request makes a request within the test's context, or the one given.
func request(t *testing.T, ctx context.Context, method, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://api.test/v1/token", r)
	require.NoError(t, err)
	return req
}

const unavailable = `{"message":"Rate limiting is temporarily unavailable","code":"RATE_LIMIT_UNAVAILABLE","requestId":"r1"}`

func TestUselessWaitIsNotWaited(t *testing.T) {
	// The bound on the total is in the table of vectors; a context's deadline is Go's own.
	for _, asked := range []string{"5", "6", "119", "31622401", "99999999999999999999", "Mon, 24 Nov 2099 16:00:42 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			tr := &Transport{Base: new(script).then(429, "", "Retry-After", asked)}
			resp, err := tr.RoundTrip(request(t, ctx, "GET", ""))
			require.NoError(t, err, "the answer at hand, not the context's error")
			assert.Equal(t, 429, resp.StatusCode)
			assert.Equal(t, start, time.Now(), asked)
		})
	}
}

func TestJitterKeepsWithinTheDeadline(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second+time.Millisecond)
			defer cancel()
			tr := &Transport{Base: new(script).then(429, "", "Retry-After", "1").then(200, "")}
			resp, err := tr.RoundTrip(request(t, ctx, "GET", ""))
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode)
		})
	}
}

func TestCancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(cause) })
		server := new(script).then(429, "", "Retry-After", "60")
		_, err := (&Transport{Base: server}).RoundTrip(request(t, ctx, "GET", ""))
		assert.ErrorIs(t, err, cause)
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.Len(t, server.times, 1)
	})
}

func TestCancelledRequestIsNotRepeated(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	server := new(script).fail(context.Canceled)
	_, err := (&Transport{Base: server, Retry: Retry{Connections: true}}).RoundTrip(request(t, ctx, "GET", ""))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Len(t, server.times, 1)
}

func TestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(script).then(429, "").then(429, "").then(200, "")
		req := request(t, t.Context(), "POST", "grant")
		body := req.Body
		_, err := (&Transport{Base: server}).RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, []string{"grant", "grant", "grant"}, server.bodies, "each attempt has the whole body")
		assert.Equal(t, body, req.Body, "the caller's request stays as it is")

		server = new(script).then(429, "").then(200, "")
		req = request(t, t.Context(), "POST", "grant")
		req.GetBody = nil
		resp, err := (&Transport{Base: server}).RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode, "a stream is sent once")
		assert.Len(t, server.times, 1)

		server = new(script).then(429, "").then(200, "")
		req = request(t, t.Context(), "POST", "")
		req.Body = http.NoBody
		resp, err = (&Transport{Base: server}).RoundTrip(req)
		require.NoError(t, err)
		assert.Equal(t, 200, resp.StatusCode)

		gone := errors.New("file is gone")
		req = request(t, t.Context(), "POST", "grant")
		req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		_, err = (&Transport{Base: new(script).then(429, "")}).RoundTrip(req)
		assert.ErrorIs(t, err, gone)
	})
}

func TestLastRateLimit(t *testing.T) {
	server := new(script).then(200, "", "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "19").then(200, "").fail(io.ErrUnexpectedEOF)
	c := New(&Transport{Base: server})
	assert.Equal(t, RateLimit{}, c.LastRateLimit(), "unknown before the first")

	get := func() {
		resp, err := c.Do(request(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		resp.Body.Close()
	}
	get()
	last := c.LastRateLimit()
	assert.Equal(t, "20 19 ?", brief(last))
	get()
	assert.Equal(t, "? ? ?", brief(c.LastRateLimit()), "an answer without headers is unknown")
	before := c.LastRateLimit()
	_, err := c.Do(request(t, t.Context(), "GET", ""))
	require.Error(t, err)
	assert.Equal(t, before, c.LastRateLimit(), "no answer says nothing")
	assert.Equal(t, RateLimit{}, new(Client).LastRateLimit())
}

func TestCeiling(t *testing.T) {
	r := Retry{Backoff: 100, MaxBackoff: 1000}
	for attempts, want := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 1 << 40: 1000} {
		assert.Equal(t, want, r.ceiling(attempts), "after %d", attempts)
	}
	huge := Retry{Backoff: 1 << 62, MaxBackoff: 1<<63 - 1}
	assert.Equal(t, time.Duration(1<<63-1), huge.ceiling(9), "no overflow")
	small := Retry{Backoff: 100, MaxBackoff: 10}
	assert.Equal(t, time.Duration(10), small.ceiling(1))
}
