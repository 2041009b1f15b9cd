package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// method is an edit that sets the method.
func method(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }

func TestSkipMethods(t *testing.T) {
	preflight := set("Access-Control-Request-Method", "POST")
	for _, c := range []struct {
		name  string
		skip  []string
		edits []func(*http.Request)
		asked int
	}{
		{"a preflight", []string{"OPTIONS"}, []func(*http.Request){method("OPTIONS"), preflight}, 0},
		{"OPTIONS that is none", []string{"OPTIONS"}, []func(*http.Request){method("OPTIONS")}, 1},
		{"a preflight that asks for nothing", []string{"OPTIONS"}, []func(*http.Request){method("OPTIONS"), set("Access-Control-Request-Method", "")}, 1},
		{"a preflight by default", nil, []func(*http.Request){method("OPTIONS"), preflight}, 1},
		{"what a preflight asks for", []string{"OPTIONS"}, []func(*http.Request){method("POST"), preflight}, 1},
		{"another method", []string{"TRACE", "PROPFIND"}, []func(*http.Request){method("PROPFIND")}, 0},
		{"another spelling", []string{"OPTIONS"}, []func(*http.Request){method("options"), preflight}, 1},
		{"one of others", []string{"TRACE"}, []func(*http.Request){method("OPTIONS"), preflight}, 1},
	} {
		p := middleware.ReferencePolicy()
		p.SkipMethods = c.skip
		s := &script{}
		w := get(wrap(t, s, p, teapot), "/v1/token", c.edits...)
		assert.Equal(t, http.StatusTeapot, w.Code, c.name)
		assert.Len(t, s.takes, c.asked, c.name)
		assert.Equal(t, c.asked > 0, w.Header().Get("X-RateLimit-Limit") != "", c.name)
	}
	for _, bad := range []string{"", "*", "get", "Options", "GET POST", "GET\n", "GET /"} {
		p := middleware.ReferencePolicy()
		p.SkipMethods = []string{"OPTIONS", bad}
		var e *middleware.PolicyError
		require.ErrorAs(t, p.Check(), &e, "%q", bad)
		assert.Equal(t, "skip_methods[1]", e.Path)
	}
}

// Policies of different namespaces never meet in one budget, those of one always do.
func TestNamespace(t *testing.T) {
	key := func(namespace, rule, subject string) string {
		r := perMinute(rule, 10)
		r.Key = middleware.Header("X-Key")
		s := &script{}
		get(wrap(t, s, middleware.Policy{Default: []middleware.Rule{r}, Namespace: namespace}, teapot), "/", set("X-Key", subject))
		require.Len(t, s.takes, 1)
		return s.takes[0].key
	}
	assert.Equal(t, limiter.Key("r", "s"), key("", "r", "s"), "as ever")
	seen := map[string]string{}
	for _, c := range [][3]string{
		{"", "a", "b"}, {"a", "a", "b"}, {"b", "a", "b"}, {"ab", "a", "b"}, {"a", "ba", "b"}, {"a b", "a", "b"},
		{"", "a", strings.Repeat("s", 600)}, {"a", "a", strings.Repeat("s", 600)}, {"a", "sha256", "b"}, {strings.Repeat("n", 64), "a", "b"},
	} {
		k := key(c[0], c[1], c[2])
		assert.Empty(t, seen[k], "%q is also the key of %s", c, seen[k])
		seen[k] = strings.Join(c[:], ", ")
		assert.LessOrEqual(t, len(k), limiter.MaxKeyLen)
		assert.Equal(t, k, key(c[0], c[1], c[2]), "the same on every node")
	}

	l := limiter.NewLocal(limiter.Config{})
	p := daily(1)
	one, other := wrap(t, l, p, teapot), wrap(t, l, p, teapot)
	p.Namespace = "other"
	apart := wrap(t, l, p, teapot)
	assert.Equal(t, http.StatusTeapot, get(one, "/").Code)
	assert.Equal(t, http.StatusTooManyRequests, get(other, "/").Code, "one namespace is one budget")
	assert.Equal(t, http.StatusTeapot, get(apart, "/").Code)
	assert.Equal(t, http.StatusTooManyRequests, get(apart, "/").Code)
	for _, bad := range []string{strings.Repeat("n", 65), "é", "a\n", "\x00", "a\tb", "\x7f"} {
		p.Namespace = bad
		assert.ErrorIs(t, p.Check(), middleware.ErrPolicy, "%q", bad)
	}
}

// A plan of another window or algorithm would be another budget, and so a second one.
func TestPlansShareTheBudget(t *testing.T) {
	sliding := limiter.Limit{Quota: 5, Window: time.Minute, Algorithm: limiter.SlidingWindow}
	bucket := limiter.Limit{Quota: 5, Window: time.Minute, Algorithm: limiter.TokenBucket}
	burst := bucket
	burst.Burst = 9
	share := limiter.Per(7, time.Minute)
	share.Split = limiter.SplitShare
	for _, c := range []struct {
		rule, plan limiter.Limit
		path       string
	}{
		{limiter.Per(5, time.Minute), limiter.Per(500, time.Minute), ""},
		{limiter.Per(5, time.Minute), share, ""},
		{bucket, burst, ""},
		{limiter.Per(5, time.Minute), limiter.Per(5, time.Hour), "window"},
		{limiter.Per(5, time.Minute), limiter.Per(5, time.Minute+1), "window"},
		{limiter.Per(5, time.Minute), sliding, "algorithm"},
		{sliding, bucket, "algorithm"},
		{bucket, limiter.Per(5, time.Minute), "algorithm"},
		{limiter.Per(5, time.Minute), limiter.Limit{Quota: 5}, "window"},
	} {
		p := middleware.Policy{Default: []middleware.Rule{{
			Name: "r", Limit: c.rule, Plan: middleware.Header("X-Plan"), Plans: map[string]limiter.Limit{"pro": c.plan},
		}}}
		err := p.Check()
		if c.path == "" {
			assert.NoError(t, err, "%+v", c)
			continue
		}
		var e *middleware.PolicyError
		require.ErrorAs(t, err, &e, "%+v", c)
		assert.Equal(t, "default[0].plans.pro."+c.path, e.Path)
	}
}
