package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
)

// login is a handler that asks for a rule by the user name, which stands in the form.
func login(m *middleware.Middleware, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, ok := m.Allow(w, r, "user", r.FormValue("user"))
		if !ok {
			return
		}
		defer e.Done(status)
		w.WriteHeader(status)
	})
}

// askedPolicy has a rule for addresses, and one of 2 failures per user that only handlers ask.
func askedPolicy() middleware.Policy {
	user := perMinute("user", 2)
	user.Count = middleware.CountFailures
	return middleware.Policy{Default: []middleware.Rule{perMinute("ip", 100)}, Asked: []middleware.Rule{user}}
}

func TestAllow(t *testing.T) {
	m := engine(t, askedPolicy())
	wrong, right := m.Wrap(login(m, http.StatusUnauthorized)), m.Wrap(login(m, http.StatusOK))
	for range 5 {
		require.Equal(t, http.StatusOK, get(right, "/login?user=ann").Code, "what succeeds is given back")
	}
	a := get(wrong, "/login?user=ann")
	assert.Equal(t, http.StatusUnauthorized, a.Code)
	assert.Equal(t, "2", a.Header().Get("X-RateLimit-Limit"), "the tighter of both shows")
	assert.Equal(t, "1", a.Header().Get("X-RateLimit-Remaining"))
	get(wrong, "/login?user=ann")
	a = get(right, "/login?user=ann")
	assert.Equal(t, http.StatusTooManyRequests, a.Code)
	assert.NotEmpty(t, a.Header().Get("Retry-After"))
	assert.Contains(t, a.Body.String(), "RATE_LIMIT_EXCEEDED")
	assert.Equal(t, http.StatusOK, get(right, "/login?user=bob").Code, "each user has a budget")
}

// A rule that has more left than what is shown already does not hide it; the IETF's lists have both.
func TestAllowJoinsHeaders(t *testing.T) {
	p := askedPolicy()
	p.Default[0].Limit.Quota, p.Dialects = 2, middleware.XRateLimit|middleware.IETF
	p.Asked[0].Limit.Quota = 50
	m := engine(t, p)
	a := get(m.Wrap(login(m, http.StatusUnauthorized)), "/login?user=ann")
	assert.Equal(t, []string{"2"}, a.Header().Values("X-RateLimit-Limit"))
	assert.Equal(t, "1", a.Header().Get("X-RateLimit-Remaining"))
	assert.Equal(t, `"ip";q=2;w=60, "user";q=50;w=60`, a.Header().Get("RateLimit-Policy"))
	assert.Regexp(t, `^"ip";r=1;t=\d+, "user";r=49;t=\d+$`, a.Header().Get("RateLimit"))
}

// A name that the policy does not have is nobody's way around a limit; one of a route is asked as it is.
func TestAllowByName(t *testing.T) {
	m := engine(t, askedPolicy())
	w := httptest.NewRecorder()
	_, ok := m.Allow(w, httptest.NewRequest("GET", "/", nil), "usr", "ann")
	assert.False(t, ok)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, int64(1), m.Stats().Unavailable)
	w = httptest.NewRecorder()
	_, ok = m.Allow(w, httptest.NewRequest("GET", "/", nil), "ip", "192.0.2.1")
	assert.True(t, ok)
	assert.Equal(t, "99", w.Header().Get("X-RateLimit-Remaining"))
	a := get(m.Wrap(teapot), "/", from("192.0.2.1:1"))
	assert.Equal(t, "98", a.Header().Get("X-RateLimit-Remaining"), "it is the budget of that client")
}

func TestAskedIsChecked(t *testing.T) {
	p := askedPolicy()
	p.Asked[0].Limit.Quota = -1
	assert.ErrorContains(t, p.Check(), `Asked[0].Limit.Quota (rule "user"): -1`)
	p = askedPolicy()
	p.Asked[0].Name = "ip"
	assert.ErrorContains(t, p.Check(), `is already the name of Default[0]`)
}
