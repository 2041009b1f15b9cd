package middlewaretest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// The rows about what goes over the wire.

// "On every response to a limited request: 2xx, 3xx, 4xx, 5xx, and what the wrapped handler
// never sees": which is the router's own business, so its status is only looked at of those that
// the handlers say. Not Retry-After: a 503 of the handler's own is none of the limiter's.
func everyResponse(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	for route, status := range map[string]int{
		"GET /health":         200,
		"GET /status/204":     204,
		"GET /status/302":     302,
		"GET /status/304":     304,
		"GET /status/401":     401,
		"GET /status/503":     503,
		"GET /no/such/page":   0,
		"DELETE /v1/agents":   0,
		"GET /v1//agents":     0,
		"GET /panic":          500,
		"OPTIONS /v1/token":   0,
		"HEAD /health":        0,
		"POST /v1/token":      200,
		"POST /v1/token/none": 404,
	} {
		a := s.send(request{client: s.client(), route: route})
		if status != 0 {
			assert.Equal(t, status, a.status, route)
		} else if route != "HEAD /health" && route != "OPTIONS /v1/token" { // which some serve by themselves
			assert.GreaterOrEqual(t, a.status, 300, route)
		}
		limit := number(t, a, "X-RateLimit-Limit")
		assert.Equal(t, limit-1, number(t, a, "X-RateLimit-Remaining"), route)
		assert.Positive(t, number(t, a, "X-RateLimit-Reset"), route)
		assert.Empty(t, a.header.Get("Retry-After"), "%s: only on 429 and 503 from the limiter", route)
	}
}

// The values of the header table: the limit, what is left (never negative, also beyond the
// limit), and one reset for all requests of a window. One second of tolerance, as each
// answer rounds up by itself.
func headerValues(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	c := s.settled("POST /v1/authorize")
	var reset int64
	for i := range int64(15) {
		before := time.Now()
		a := s.send(request{client: c, route: "POST /v1/authorize"})
		assert.Equal(t, int64(10), number(t, a, "X-RateLimit-Limit"))
		assert.Equal(t, max(0, 8-i), number(t, a, "X-RateLimit-Remaining"))
		r := number(t, a, "X-RateLimit-Reset")
		assert.Greater(t, r, before.Unix(), "the reset lies ahead")
		assert.LessOrEqual(t, r, time.Now().Unix()+61, "and not further than a window")
		if reset != 0 {
			assert.InDelta(t, reset, r, 1, "all requests of a window name one reset")
		}
		reset = r
	}
}

// The 429 of the contract, byte by byte: the number in the message is that of Retry-After,
// the three limit headers stay, and the request's id comes back in both places.
func tooManyRequests(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	c := s.settled("POST /v1/authorize")
	for range 9 {
		s.send(request{client: c, route: "POST /v1/authorize"})
	}
	const id = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"
	a := s.send(request{client: c, route: "POST /v1/authorize", header: map[string]string{"X-Request-Id": id}})
	require.Equal(t, http.StatusTooManyRequests, a.status)
	wait := number(t, a, "Retry-After")
	assert.GreaterOrEqual(t, wait, int64(1))
	assert.LessOrEqual(t, wait, int64(60))
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
	assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
	assert.Equal(t, int64(10), number(t, a, "X-RateLimit-Limit"))
	assert.Equal(t, int64(0), number(t, a, "X-RateLimit-Remaining"))
	assert.InDelta(t, time.Now().Unix()+wait, number(t, a, "X-RateLimit-Reset"), 2)
	assert.Equal(t, id, a.header.Get("X-Request-Id"))
	message := "Rate limit exceeded, retry in " + a.header.Get("Retry-After") + " second"
	if wait != 1 {
		message += "s"
	}
	assert.Equal(t, `{"message":"`+message+`","code":"RATE_LIMIT_EXCEEDED","requestId":"`+id+`"}`, a.body)
}

// "requestId is the request's X-Request-Id where it has a sane one (at most 128 visible ASCII
// characters), else a new UUID": what is logged must not be able to forge a log line.
func requestIDs(t *testing.T, over setup) {
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{daily("default", 1)}})
	c := s.client()
	s.send(request{client: c, route: "GET /health"})
	const uuid = `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	long := strings.Repeat("x", 128)
	for inbound, sane := range map[string]bool{
		"abc-1": true, "~!\"<>\\{}": true, long: true,
		"": false, "a b": false, "a\tb": false, long + "x": false, "caf\xc3\xa9": false, "\x7f": false,
	} {
		a := s.send(request{client: c, route: "GET /health", header: map[string]string{"X-Request-Id": inbound}})
		require.Equal(t, http.StatusTooManyRequests, a.status)
		var body struct {
			RequestID string `json:"requestId"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &body), a.body)
		assert.Equal(t, body.RequestID, a.header.Get("X-Request-Id"))
		if sane {
			assert.Equal(t, inbound, body.RequestID)
		} else {
			assert.Regexp(t, uuid, body.RequestID, "instead of %q", inbound)
		}
	}
}

// failing is a limiter out of order.
type failing struct{ middleware.Limiter }

func (failing) Take(context.Context, string, limiter.Limit, int64) (limiter.Decision, error) {
	return limiter.Decision{}, errors.New("out of order")
}

// 503 "only where the policy fails closed for that limit". Everywhere else a limiter that is
// out of order must not take the service down with it.
func failsClosed(t *testing.T, over setup) {
	for i, l := range over.limiters {
		over.limiters[i] = failing{l}
	}
	closed := daily("default", 10)
	closed.Outage = middleware.OutageClosed
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{closed}})
	a := s.send(request{client: s.client(), route: "GET /health", header: map[string]string{"X-Request-Id": "id"}})
	assert.Equal(t, http.StatusServiceUnavailable, a.status)
	assert.Equal(t, int64(1), number(t, a, "Retry-After"))
	assert.Equal(t, `{"message":"Rate limiting is temporarily unavailable","code":"RATE_LIMIT_UNAVAILABLE","requestId":"id"}`, a.body)

	s = newService(t, over, middleware.ReferencePolicy())
	a = s.send(request{client: s.client(), route: "GET /health"})
	assert.Equal(t, http.StatusOK, a.status, "where the policy does not fail closed, the service goes on")
}

// "Other dialects, each a choice of the policy, and more than one may be sent at once." The two
// resets of one answer are made of one decision, so they agree.
func dialects(t *testing.T, over setup) {
	p := middleware.ReferencePolicy()
	p.Dialects = middleware.XRateLimitSeconds | middleware.IETF
	s := newService(t, over, p)
	a := s.send(request{client: s.client(), route: "GET /health"})
	left := number(t, a, "X-RateLimit-Reset")
	assert.LessOrEqual(t, left, int64(60))
	assert.Equal(t, `"default";q=100;w=60`, a.header.Get("RateLimit-Policy"))
	assert.Equal(t, `"default";r=99;t=`+strconv.FormatInt(left, 10), a.header.Get("RateLimit"))

	p.Dialects = middleware.NoHeaders
	s = newService(t, over, p)
	a = s.send(request{client: s.client(), route: "GET /health"})
	assert.Empty(t, limitHeaders(a.header))
}

// "A policy can choose application/problem+json (RFC 9457) or its own responder instead." The
// headers do not depend on who writes the body.
func responders(t *testing.T, over setup) {
	p := middleware.Policy{Default: []middleware.Rule{daily("default", 1)}, Problem: true}
	s := newService(t, over, p)
	c := s.client()
	s.send(request{client: c, route: "GET /health"})
	a := s.send(request{client: c, route: "GET /health"})
	assert.Equal(t, http.StatusTooManyRequests, a.status)
	assert.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	assert.Contains(t, a.body, `"type":"https://iana.org/assignments/http-problem-types#quota-exceeded"`)
	assert.Contains(t, a.body, `"violated-policies":["default"]`)

	p.Respond = func(w http.ResponseWriter, _ *http.Request, v middleware.Refusal) {
		w.WriteHeader(v.Status)
		_, _ = w.Write([]byte(v.Code))
	}
	s = newService(t, over, p)
	a = s.send(request{client: c, route: "GET /health"})
	assert.Equal(t, http.StatusTooManyRequests, a.status)
	assert.Equal(t, "RATE_LIMIT_EXCEEDED", a.body)
	assert.GreaterOrEqual(t, number(t, a, "Retry-After"), int64(1))
	assert.Equal(t, int64(0), number(t, a, "X-RateLimit-Remaining"))
}
