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

// failures is a policy of one rule that counts only failed requests.
func failures(quota int64) middleware.Policy {
	r := perMinute("login", quota)
	r.Count = middleware.CountFailures
	return middleware.Policy{Default: []middleware.Rule{r}}
}

// engine is a middleware over a limiter of this process.
func engine(t *testing.T, p middleware.Policy) *middleware.Middleware {
	t.Helper()
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
	require.NoError(t, err)
	return m
}

// begin is one request through Begin, as an adapter sends it.
func begin(m *middleware.Middleware, r *http.Request) (middleware.Exchange, *httptest.ResponseRecorder, bool) {
	w := httptest.NewRecorder()
	e, ok := m.Begin(w, r)
	return e, w, ok
}

// What counts by outcome is given back after Done, once: a second Done neither gives back again
// nor touches the request that has the exchange's memory by then.
func TestDoneGivesBackOnce(t *testing.T) {
	m := engine(t, failures(2))
	r := httptest.NewRequest("POST", "/login", nil)
	first, w, ok := begin(m, r)
	require.True(t, ok)
	require.True(t, first.Observed())
	require.True(t, first.ByOutcome())
	assert.Equal(t, "1", w.Header().Get("X-RateLimit-Remaining"))
	first.Done(http.StatusOK)

	second, w, ok := begin(m, r)
	require.True(t, ok)
	assert.Equal(t, "1", w.Header().Get("X-RateLimit-Remaining"), "given back")
	first.Done(http.StatusOK)
	second.Done(http.StatusUnauthorized)
	second.Done(http.StatusOK)

	_, w, ok = begin(m, r)
	require.True(t, ok)
	assert.Equal(t, "0", w.Header().Get("X-RateLimit-Remaining"), "the failure is spent, whoever says otherwise later")
}

// Where nothing depends on the outcome, there is nothing to be done, and what is exempt has no headers.
func TestBeginPasses(t *testing.T) {
	m := engine(t, middleware.ReferencePolicy())
	e, w, ok := begin(m, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	assert.True(t, ok)
	assert.False(t, e.Observed())
	assert.Empty(t, w.Header())
	e.Done(http.StatusOK)
	e, w, ok = begin(m, httptest.NewRequest("POST", "/v1/token", nil))
	assert.True(t, ok)
	assert.False(t, e.Observed())
	assert.Equal(t, "19", w.Header().Get("X-RateLimit-Remaining"))
	middleware.Exchange{}.Done(http.StatusOK)
}

// A refusal is the one that Wrap would have written.
func TestBeginRefuses(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-Id", "id")
	p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 10)}, Now: func() time.Time { return time.Unix(1, 0) }}
	m, err := middleware.New(always(denied, nil), p)
	require.NoError(t, err)
	_, got, ok := begin(m, r)
	require.False(t, ok)
	want := httptest.NewRecorder()
	m.Wrap(teapot).ServeHTTP(want, r)
	assert.Equal(t, want.Code, got.Code)
	assert.Equal(t, want.Header(), got.Header())
	assert.Equal(t, want.Body.String(), got.Body.String())
	assert.Equal(t, http.StatusTooManyRequests, got.Code)
}

// What a router has chosen counts, and is not remembered for another choice of the same path.
func TestBeginRoute(t *testing.T) {
	m := engine(t, middleware.Policy{
		Default: []middleware.Rule{perMinute("default", 100)},
		Routes:  []middleware.Route{middleware.On("GET /users/{id}", perMinute("user", 5)), middleware.On("GET /users/me", perMinute("me", 7))},
	})
	for range 2 {
		for chosen, limit := range map[string]string{"": "7", "/users/:id": "5", "/users/me": "7", "/*": "7"} {
			w := httptest.NewRecorder()
			_, ok := m.BeginRoute(w, httptest.NewRequest("GET", "/users/me", nil), chosen)
			require.True(t, ok)
			assert.Equal(t, limit, w.Header().Get("X-RateLimit-Limit"), "chosen %q", chosen)
		}
	}
}

// KeepHeaders is for whoever writes the response as well.
func TestRestore(t *testing.T) {
	p := middleware.ReferencePolicy()
	p.KeepHeaders = true
	e, w, ok := begin(engine(t, p), httptest.NewRequest("POST", "/v1/token", nil))
	require.True(t, ok)
	require.True(t, e.Keeps())
	require.False(t, e.ByOutcome())
	clear(w.Header())
	w.Header().Set("X-RateLimit-Limit", "of the upstream")
	e.Restore(w.Header())
	assert.Equal(t, "20", w.Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "19", w.Header().Get("X-RateLimit-Remaining"))
	e.Done(http.StatusOK)
	assert.False(t, middleware.Exchange{}.Keeps())
}

// A handler finds what was decided about its request, and what is told there is what the hook is told.
func TestFromContext(t *testing.T) {
	p := failures(5)
	p.Always = []middleware.Rule{perMinute("always", 9)}
	p.InContext = true
	var told []middleware.Event
	p.OnDecision = func(e middleware.Event) { told = append(told, e) }
	var found []middleware.Event
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		found = middleware.FromContext(r.Context())
	}))
	get(h, "/")
	require.Len(t, found, 2)
	assert.Equal(t, "always", found[0].Rule)
	assert.Equal(t, int64(4), found[1].Decision.Remaining)
	assert.Equal(t, told[:2], found)
	assert.Nil(t, middleware.FromContext(t.Context()))
}

// Begin and Done cost a request no more memory than Wrap. To give back, a context is made.
func TestBeginAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget at random")
	}
	for name, c := range map[string]struct {
		policy middleware.Policy
		most   float64
	}{"reference": {generous(), 2}, "outcome": {failures(limiter.MaxQuota), 3}} {
		m := engine(t, c.policy)
		r := httptest.NewRequest("POST", "/v1/token", nil)
		w := &sink{make(http.Header, 8)}
		allocs := testing.AllocsPerRun(1000, func() {
			e, _ := m.BeginRoute(w, r, "/v1/token")
			e.Done(http.StatusOK)
		})
		assert.LessOrEqual(t, allocs, c.most, name)
	}
}

// An adapter whose framework takes any ResponseWriter need not find out the status by itself.
func TestObserve(t *testing.T) {
	p := failures(9)
	p.KeepHeaders = true
	m := engine(t, p)
	for _, c := range []struct {
		status, left string
		panicked     bool
	}{{"200", "8", false}, {"", "8", false}, {"401", "8", false}, {"", "7", true}, {"200", "6", true}, {"", "6", false}} {
		e, w, ok := begin(m, httptest.NewRequest("GET", "/", nil))
		require.True(t, ok)
		assert.Equal(t, c.left, w.Header().Get("X-RateLimit-Remaining"), "%+v", c)
		seen, done := e.Observe(w)
		clear(seen.Header())
		if c.status == "" && !c.panicked {
			_, _ = seen.Write(nil)
		} else if status, _ := strconv.Atoi(c.status); status > 0 {
			seen.WriteHeader(status)
		}
		done(c.panicked)
		if !c.panicked {
			assert.Equal(t, "9", w.Result().Header.Get("X-RateLimit-Limit"), "%+v", c)
		}
	}
	w := httptest.NewRecorder()
	seen, done := middleware.Exchange{}.Observe(w)
	assert.Same(t, w, seen)
	done(true)
}
