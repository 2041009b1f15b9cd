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

func TestRepeatsByOutcome(t *testing.T) {
	const json, problem = "application/json", "application/problem+json"
	broken := errors.New("connection reset")
	for _, tc := range []struct {
		name, method string
		first        *script
		conn         bool
		key          bool // an Idempotency-Key
		want         int  // attempts
	}{
		{name: "429 to GET", method: "GET", first: new(script).then(429, "", "Retry-After", "1"), want: 2},
		{name: "429 to POST", method: "POST", first: new(script).then(429, "", "Retry-After", "1"), want: 2},
		{name: "429 to PATCH without a header", method: "PATCH", first: new(script).then(429, ""), want: 2},
		{name: "503 to GET", method: "GET", first: new(script).then(503, "", "Retry-After", "1"), want: 2},
		{name: "503 to GET without Retry-After", method: "GET", first: new(script).then(503, ""), want: 1},
		{name: "503 to GET with a malformed Retry-After", method: "GET", first: new(script).then(503, "", "Retry-After", "x"), want: 1},
		{name: "503 to POST from who knows where", method: "POST", first: new(script).then(503, "busy", "Retry-After", "1"), want: 1},
		{name: "503 to POST with another code", method: "POST", first: new(script).then(503, `{"code":"DB_DOWN"}`, "Retry-After", "1", "Content-Type", json), want: 1},
		{name: "503 to POST from the limiter", method: "POST", first: new(script).then(503, unavailable, "Retry-After", "1", "Content-Type", json), want: 2},
		{name: "503 to POST from the limiter as a problem", method: "POST", first: new(script).then(503, unavailable, "Retry-After", "1", "Content-Type", problem), want: 2},
		{name: "503 to POST, the code in a text", method: "POST", first: new(script).then(503, unavailable, "Retry-After", "1", "Content-Type", "text/plain"), want: 1},
		{name: "503 to POST with an idempotency key", method: "POST", key: true, first: new(script).then(503, "", "Retry-After", "1"), want: 2},
		{name: "500", method: "GET", first: new(script).then(500, "", "Retry-After", "1"), want: 1},
		{name: "200 with Retry-After", method: "GET", first: new(script).then(200, "", "Retry-After", "1"), want: 1},
		{name: "301 with Retry-After", method: "GET", first: new(script).then(301, "", "Retry-After", "1"), want: 1},
		{name: "broken GET, not asked for", method: "GET", first: new(script).fail(broken), want: 1},
		{name: "broken GET", method: "GET", conn: true, first: new(script).fail(broken), want: 2},
		{name: "broken PUT", method: "PUT", conn: true, first: new(script).fail(broken), want: 2},
		{name: "broken POST", method: "POST", conn: true, first: new(script).fail(broken), want: 1},
		{name: "broken POST with an idempotency key", method: "POST", conn: true, key: true, first: new(script).fail(broken), want: 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := tc.first.then(204, "")
				tr := &Transport{Base: server, Retry: Retry{Connections: tc.conn}}
				req := request(t, t.Context(), tc.method, "")
				if tc.key {
					req.Header.Set("Idempotency-Key", "k")
				}
				_, _ = tr.RoundTrip(req)
				assert.Len(t, server.times, tc.want)
			})
		})
	}
}

func TestRetryAfterIsTheLeastWait(t *testing.T) {
	for range 50 { // the wait is random
		synctest.Test(t, func(t *testing.T) {
			server := new(script).then(429, "", "Retry-After", "7").then(429, "", "Retry-After", "1").then(429, "").then(200, "ok")
			tr := &Transport{Base: server, Retry: Retry{Backoff: 100 * time.Millisecond, MaxBackoff: 150 * time.Millisecond}}
			resp, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode)
			gaps := server.gaps()
			require.Len(t, gaps, 3)
			for i, least := range []time.Duration{7 * time.Second, time.Second, 0} {
				assert.GreaterOrEqual(t, gaps[i], least)
				assert.Less(t, gaps[i], least+150*time.Millisecond)
			}
			assert.Less(t, gaps[0], 7*time.Second+100*time.Millisecond, "the first random part is the smallest")
		})
	}
}

func TestResetIsTheLeastWaitWithoutRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(script).then(429, "", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "30").
			then(429, "", "X-RateLimit-Remaining", "5", "X-RateLimit-Reset", "30").then(200, "")
		tr := &Transport{Base: server}
		_, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		gaps := server.gaps()
		require.Len(t, gaps, 2)
		assert.GreaterOrEqual(t, gaps[0], 30*time.Second, "nothing is left before the reset")
		assert.Less(t, gaps[1], 2*DefaultBackoff, "something is left: the reset does not matter")
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	for attempts, want := range map[int]int{0: DefaultAttempts, -3: DefaultAttempts, 1: 1, 2: 2, 9: 9} {
		synctest.Test(t, func(t *testing.T) {
			server := new(script).then(429, "no", "Retry-After", "1")
			tr := &Transport{Base: server, Retry: Retry{Attempts: attempts}}
			resp, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
			require.NoError(t, err)
			assert.Equal(t, 429, resp.StatusCode)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, "no", string(body), "the last answer is whole")
			assert.Len(t, server.times, want, "for %d", attempts)
		})
	}
}

func TestTotalTimeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		server := new(script).then(429, "", "Retry-After", "50")
		tr := &Transport{Base: server, Retry: Retry{Attempts: 100}}
		resp, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		assert.Equal(t, 429, resp.StatusCode)
		assert.Len(t, server.times, 3, "at 0 s, 50 s and 100 s; 150 s would be too late")
		assert.Less(t, time.Since(start), 102*time.Second, "and is not waited for")
	})
}

func TestUselessWaitIsNotWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		server := new(script).then(429, "", "Retry-After", "120")
		tr := &Transport{Base: server}
		_, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
		require.NoError(t, err)
		assert.Equal(t, start, time.Now(), "the total is 2 minutes: no time is left then")

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		server = new(script).then(429, "", "Retry-After", "5")
		tr.Base = server
		resp, err := tr.RoundTrip(request(t, ctx, "GET", ""))
		require.NoError(t, err, "the answer at hand, not the context's error")
		assert.Equal(t, 429, resp.StatusCode)
		assert.Equal(t, start, time.Now())
	})
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
