package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// records are the limits of customers.
var records = map[string]limiter.Limit{
	"small":  limiter.Per(2, time.Minute),
	"large":  limiter.Per(1000, time.Hour),
	"bucket": {Quota: 60, Window: time.Minute, Burst: 5, Algorithm: limiter.TokenBucket},
	"barred": {Quota: 0, Window: time.Minute},
	"broken": {Quota: -1, Window: time.Minute},
	"short":  {Quota: 5, Window: time.Nanosecond},
}

// byRecord is a rule whose limit is in the customer's record, else a plan's or the rule's.
func byRecord() middleware.Rule {
	r := perMinute("customer", 10)
	r.Key = middleware.Header("X-Customer")
	r.LimitOf = func(r *http.Request) (limiter.Limit, bool) {
		l, ok := records[r.Header.Get("X-Customer")]
		return l, ok
	}
	r.Plan, r.Plans = middleware.Header("X-Plan"), map[string]limiter.Limit{"pro": limiter.Per(50, time.Minute)}
	return r
}

func TestLimitOf(t *testing.T) {
	m := engine(t, middleware.Policy{Default: []middleware.Rule{byRecord()}})
	h := m.Wrap(teapot)
	for customer, shown := range map[string]string{"small": "2", "large": "1000", "bucket": "5", "unknown": "10"} {
		for range 2 { // made, and remembered
			a := get(h, "/", set("X-Customer", customer))
			assert.Equal(t, http.StatusTeapot, a.Code, customer)
			assert.Equal(t, shown, a.Header().Get("X-RateLimit-Limit"), customer)
		}
	}
	a := get(h, "/", set("X-Customer", "small"))
	assert.Equal(t, http.StatusTooManyRequests, a.Code)
	a = get(h, "/", set("X-Customer", "nobody"), set("X-Plan", "pro"))
	assert.Equal(t, "50", a.Header().Get("X-RateLimit-Limit"), "no record: the plan counts")
	a = get(h, "/", set("X-Customer", "large"), set("X-Plan", "pro"))
	assert.Equal(t, "1000", a.Header().Get("X-RateLimit-Limit"), "the record is before the plan")
}

// A record that admits nothing, or that cannot be, is nobody's way around the limit.
func TestLimitOfRefuses(t *testing.T) {
	var events []middleware.Event
	p := middleware.Policy{Default: []middleware.Rule{byRecord()}, OnDecision: func(e middleware.Event) { events = append(events, e) }}
	p.Always = []middleware.Rule{perMinute("all", 100)}
	m := engine(t, p)
	a := get(m.Wrap(teapot), "/", set("X-Customer", "barred"))
	assert.Equal(t, http.StatusForbidden, a.Code)
	assert.Contains(t, a.Body.String(), "RATE_LIMIT_BLOCKED")
	for _, customer := range []string{"broken", "short"} {
		events = nil
		a = get(m.Wrap(teapot), "/", set("X-Customer", customer))
		assert.Equal(t, http.StatusServiceUnavailable, a.Code, customer)
		require.Len(t, events, 2)
		assert.Equal(t, middleware.Unavailable, events[1].Verdict)
		require.ErrorIs(t, events[1].Err, limiter.ErrLimit, customer)
		assert.Equal(t, middleware.Returned, events[0].Verdict, "no other rule keeps what it took")
	}
}

// A cost that does not fit into a customer's limit is all of it: an error would be a hole.
func TestLimitOfCost(t *testing.T) {
	r := byRecord()
	r.Cost = 10
	var events []middleware.Event
	m := engine(t, middleware.Policy{Default: []middleware.Rule{r}, OnDecision: func(e middleware.Event) { events = append(events, e) }})
	h := m.Wrap(teapot)
	assert.Equal(t, http.StatusTeapot, get(h, "/", set("X-Customer", "small")).Code)
	assert.Equal(t, http.StatusTooManyRequests, get(h, "/", set("X-Customer", "small")).Code)
	assert.Equal(t, int64(2), events[0].Cost)
}

// What is remembered of limits is bounded, and right when two fight for a place.
func TestLimitOfMany(t *testing.T) {
	r, n := perMinute("many", 1), int64(0)
	r.LimitOf = func(*http.Request) (limiter.Limit, bool) { return limiter.Per(1000+n%300, time.Minute), true }
	m := engine(t, middleware.Policy{Default: []middleware.Rule{r}, OnDecision: func(e middleware.Event) {
		require.Equal(t, 1000+n%300, e.Limit.Quota)
	}})
	h := m.Wrap(teapot)
	for range 900 {
		n++
		require.Equal(t, http.StatusTeapot, get(h, "/").Code)
	}
}

// A limit that is remembered costs nothing more than one of the rule's.
func TestLimitOfAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget at random")
	}
	r := perMinute("customer", 10)
	r.LimitOf = func(*http.Request) (limiter.Limit, bool) { return limiter.Per(limiter.MaxQuota, time.Minute), true }
	h := guarded(t, middleware.Policy{Default: []middleware.Rule{r}})
	w, q := &sink{make(http.Header, 8)}, httptest.NewRequest("POST", "/v1/token", nil)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, q) }), 2.0)
}

// A limit by the calendar is one like any other to clients: it says when midnight is.
func TestDailyLimit(t *testing.T) {
	now := time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	p := middleware.Policy{
		Default:  []middleware.Rule{{Name: "daily", Limit: limiter.Daily(1, "Europe/Berlin")}},
		Dialects: middleware.XRateLimit | middleware.IETF, Now: clock,
	}
	h := wrap(t, limiter.NewLocal(limiter.Config{Now: clock}), p, teapot)
	a := get(h, "/")
	assert.Equal(t, `"daily";q=1;w=86400`, a.Header().Get("RateLimit-Policy"))
	assert.Equal(t, `"daily";r=0;t=3600`, a.Header().Get("RateLimit"))
	assert.Equal(t, strconv.FormatInt(now.Add(time.Hour).Unix(), 10), a.Header().Get("X-RateLimit-Reset"))
	assert.Equal(t, "3600", get(h, "/").Header().Get("Retry-After"))
	now = now.Add(time.Hour)
	assert.Equal(t, http.StatusTeapot, get(h, "/").Code)
}
