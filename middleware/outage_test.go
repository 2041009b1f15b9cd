package middleware_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func TestOutage(t *testing.T) {
	outage := errors.New("out of order")
	degradedDenial := limiter.Decision{Degraded: true, ResetAfter: time.Second, RetryAfter: time.Second}
	for _, c := range []struct {
		name    string
		outage  middleware.Outage
		d       limiter.Decision
		err     error
		status  int
		verdict middleware.Verdict
		gives   int
		stats   middleware.Stats
	}{
		{"local, degraded", middleware.OutageLocal, degraded, nil, 418, middleware.Admitted, 0, middleware.Stats{}},
		{"local, degraded denial", middleware.OutageLocal, degradedDenial, nil, 429, middleware.Denied, 0, middleware.Stats{}},
		{"local, error", middleware.OutageLocal, limiter.Decision{}, outage, 418, middleware.Admitted, 0, middleware.Stats{Local: 1}},
		{"open, degraded denial", middleware.OutageOpen, degradedDenial, nil, 418, middleware.Open, 0, middleware.Stats{}},
		{"open, denial", middleware.OutageOpen, denied, nil, 429, middleware.Denied, 0, middleware.Stats{}},
		{"open, error", middleware.OutageOpen, limiter.Decision{}, outage, 418, middleware.Open, 0, middleware.Stats{FailedOpen: 1}},
		{"closed, degraded", middleware.OutageClosed, degraded, nil, 503, middleware.Unavailable, 1, middleware.Stats{Unavailable: 1}},
		{"closed, degraded denial", middleware.OutageClosed, degradedDenial, nil, 503, middleware.Unavailable, 0, middleware.Stats{Unavailable: 1}},
		{"closed, error", middleware.OutageClosed, limiter.Decision{}, outage, 503, middleware.Unavailable, 0, middleware.Stats{Unavailable: 1}},
		{"closed, in order", middleware.OutageClosed, left(3), nil, 418, middleware.Admitted, 0, middleware.Stats{}},
		// A question that cannot be is no outage, and no way around the limit.
		{"open, wrong key", middleware.OutageOpen, limiter.Decision{}, limiter.ErrKey, 503, middleware.Unavailable, 0, middleware.Stats{Unavailable: 1}},
		{"local, wrong cost", middleware.OutageLocal, limiter.Decision{}, limiter.ErrCost, 503, middleware.Unavailable, 0, middleware.Stats{Unavailable: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := by(middleware.Key{})
			p.Default[0].Outage = c.outage
			var events []middleware.Event
			p.OnDecision = func(e middleware.Event) { events = append(events, e) }
			s := always(c.d, c.err)
			m, err := middleware.New(s, p)
			require.NoError(t, err)
			w := get(m.Wrap(teapot), "/")
			assert.Equal(t, c.status, w.Code)
			require.Len(t, events, 1)
			assert.Equal(t, c.verdict, events[0].Verdict)
			assert.Equal(t, c.err, events[0].Err)
			assert.Len(t, s.gives, c.gives)
			assert.Equal(t, c.stats, m.Stats())
			visible := c.d.Degraded || c.err != nil
			assert.Equal(t, visible, w.Header().Get("X-RateLimit-Degraded") == "true")

			p.Shadow = true
			assert.Equal(t, 418, get(wrap(t, always(c.d, c.err), p, teapot), "/").Code, "a shadow refuses nothing")
		})
	}
}

// A client that left is no outage: no 5xx, no handler, and what was taken goes back.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{answer: func(q asked) (limiter.Decision, error) {
		if ruleOf(q.key) == "quick" {
			return left(5), nil
		}
		cancel()
		return limiter.Decision{}, ctx.Err()
	}}
	p := middleware.Policy{Default: []middleware.Rule{perMinute("quick", 10), perMinute("slow", 10)}}
	p.Default[1].Outage = middleware.OutageClosed
	m, err := middleware.New(s, p)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	m.Wrap(teapot).ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	assert.Equal(t, 499, w.Code)
	assert.Zero(t, m.Stats())
	require.Len(t, s.gives, 1)
	assert.Equal(t, "quick", ruleOf(s.gives[0].key))

	// The request's own deadline is another matter: there may be somebody waiting.
	ctx, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	w = httptest.NewRecorder()
	s = always(limiter.Decision{}, context.DeadlineExceeded)
	wrap(t, s, p, teapot).ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	assert.Equal(t, 503, w.Code)
}
