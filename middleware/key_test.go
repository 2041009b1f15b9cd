package middleware_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// absent stands for the shared budget that a request without a subject falls on.
const absent = ""

// claimKey is where the test's authentication leaves the claims.
type claimKey struct{}

func claims(values map[string]string) func(*http.Request) {
	return func(r *http.Request) { *r = *r.WithContext(context.WithValue(r.Context(), claimKey{}, values)) }
}

func TestKeys(t *testing.T) {
	header, cookie := middleware.Header("x-api-key"), middleware.Cookie("sid")
	join := middleware.Join(middleware.Header("A"), middleware.Header("B"))
	firstOf := middleware.FirstOf(header, middleware.ClientIP())
	for _, c := range []struct {
		name string
		key  middleware.Key
		edit func(*http.Request)
		want string
	}{
		{"shared", middleware.Shared(), set("A", "x"), ""},
		{"header", header, set("X-Api-Key", "k1"), "k1"},
		{"of several the one that handlers see", header, set("X-Api-Key", "k1", "k2"), "k1"},
		{"no header", header, set("X-Other", "k1"), absent},
		{"empty header", header, set("X-Api-Key", ""), absent},
		{"cookie", cookie, set("Cookie", "a=b; sid=s1; sid=s2"), "s1"},
		{"no cookie", cookie, set("Cookie", "sidx=s1"), absent},
		{"empty cookie", cookie, set("Cookie", "sid="), absent},
		{"no token", middleware.Bearer(), set("Authorization", "Basic abc"), absent},
		{"an empty token", middleware.Bearer(), set("Authorization", "Bearer   "), absent},
		{"only the scheme", middleware.Bearer(), set("Authorization", "Bearer"), absent},
		{"claim", middleware.Subject(), claims(map[string]string{"sub": "u1"}), "u1"},
		{"no claim", middleware.Claim("tenant"), claims(map[string]string{"sub": "u1"}), absent},
		{"join", join, func(r *http.Request) { set("A", "ab")(r); set("B", "c")(r) }, "2:ab1:c"},
		{"join keeps its parts apart", join, func(r *http.Request) { set("A", "a")(r); set("B", "bc")(r) }, "1:a2:bc"},
		{"join cannot be forged", join, func(r *http.Request) { set("A", "a1:b")(r); set("B", "")(r) }, absent},
		{"join without a part", join, set("A", "ab"), absent},
		{"first", firstOf, set("X-Api-Key", "k1"), "0:k1"},
		{"next", firstOf, set("X-Other", "k1"), "1:192.0.2.1"},
		{"an address as a key is not the address", firstOf, set("X-Api-Key", "192.0.2.1"), "0:192.0.2.1"},
		{"neither is the tag", firstOf, set("X-Api-Key", "1:192.0.2.1"), "0:1:192.0.2.1"},
		{"func", middleware.Func(func(r *http.Request) (string, bool) { return r.Method, true }), set("A", ""), "GET"},
		{"func says no", middleware.Func(func(*http.Request) (string, bool) { return "x", false }), set("A", ""), absent},
		{"func says nothing", middleware.Func(func(*http.Request) (string, bool) { return "", true }), set("A", ""), absent},
	} {
		p := by(c.key)
		p.Claims = func(ctx context.Context, name string) (string, bool) {
			v, ok := ctx.Value(claimKey{}).(map[string]string)[name]
			return v, ok
		}
		assert.Equal(t, c.want, subject(t, p, "/", c.edit), c.name)
	}
}

func TestBearerIsHashed(t *testing.T) {
	p := by(middleware.Bearer())
	one := subject(t, p, "/", set("Authorization", "Bearer s3cret"))
	assert.Len(t, one, 32)
	assert.NotContains(t, one, "s3cret")
	for _, same := range []string{"bearer s3cret", "BEARER   s3cret", "Bearer \t s3cret "} {
		assert.Equal(t, one, subject(t, p, "/", set("Authorization", same)), same)
	}
	assert.NotEqual(t, one, subject(t, p, "/", set("Authorization", "Bearer S3cret")))
}

func TestPathValue(t *testing.T) {
	route := func(pattern, name string) middleware.Policy {
		r := perMinute("route", 1)
		r.Key = middleware.PathValue(name)
		return middleware.Policy{Routes: []middleware.Route{middleware.On(pattern, r)}}
	}
	for _, c := range []struct{ pattern, name, target, want string }{
		{"/v1/agents/{id}", "id", "/v1/agents/7", "7"},
		{"GET /v1/agents/{id}/runs/{run}", "run", "/v1/agents/7/runs/8", "8"},
		{"GET /v1/agents/{id}/runs/{run}", "id", "/v1/agents/7/runs/8", "7"},
		{"example.com/{tenant}/", "tenant", "http://example.com/t1/x/y", "t1"},
		{"/files/{path...}", "path", "/files/a/b", "a/b"},
		{"/files/{path...}", "path", "/files/", absent},
		{"/v1/agents/{id}", "id", "/v1/agents/a%2Fb", "a/b"},
		{"/v1/agents/{id}", "id", "/v1/agents/%37", "7"},
		{"/v1/agents/{id}", "id", "/v1/./agents//7", "7"}, // counted where the mux redirects to
		{"/v1/agents/{id}/{$}", "id", "/v1/agents/7/", "7"},
	} {
		assert.Equal(t, c.want, subject(t, route(c.pattern, c.name), c.target), "%+v", c)
	}
	// The same as what a handler behind sees.
	mux := http.NewServeMux()
	var seen string
	mux.HandleFunc("/a/{x}/{rest...}", func(_ http.ResponseWriter, r *http.Request) {
		seen = r.PathValue("x") + "|" + r.PathValue("rest")
	})
	for _, target := range []string{"/a/1/2/3", "/a/%20/b%2Fc/d", "/a/ü/", "/a/%C3%BC/%2F"} {
		get(mux, target)
		x := subject(t, route("/a/{x}/{rest...}", "x"), target)
		rest := subject(t, route("/a/{x}/{rest...}", "rest"), target)
		assert.Equal(t, seen, x+"|"+rest, target)
	}
}

func TestAbsent(t *testing.T) {
	p := by(middleware.Header("X-Api-Key"))
	s := &script{}
	get(wrap(t, s, p, teapot), "/", from("192.0.2.1:1"))
	get(wrap(t, s, p, teapot), "/", from("192.0.2.2:1"))
	require.Len(t, s.takes, 2)
	assert.Equal(t, s.takes[0].key, s.takes[1].key, "all who have none share one budget")

	p.Default[0].Absent = middleware.AbsentDeny
	p.Always = []middleware.Rule{perMinute("other", 5)}
	s = &script{}
	w := get(wrap(t, s, p, teapot), "/", set("X-Request-Id", "id"))
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.JSONEq(t, `{"message":"The request does not say whose limit it counts against","code":"RATE_LIMIT_KEY_MISSING","requestId":"id"}`, w.Body.String())
	assert.Empty(t, w.Header().Get("Retry-After"), "no wait helps")
	require.Len(t, s.takes, 1, "the other rule is asked, and what it took is spent")
	assert.Equal(t, "other", ruleOf(s.takes[0].key))
	assert.Empty(t, s.gives)
	w = get(wrap(t, s, p, teapot), "/", set("X-Api-Key", "k"))
	assert.Equal(t, http.StatusTeapot, w.Code)

	p.Default[0].Shadow = true
	s = &script{}
	w = get(wrap(t, s, p, teapot), "/")
	assert.Equal(t, http.StatusTeapot, w.Code, "a shadow rule refuses nothing")
	require.Len(t, s.takes, 1)
	assert.Equal(t, "other", ruleOf(s.takes[0].key))
}

// A long value must neither switch the limit off nor land on another's budget.
func TestLongSubjects(t *testing.T) {
	p := by(middleware.Header("X-Api-Key"))
	p.Default[0].Name = strings.Repeat("n", 64)
	keyOf := func(value string) string {
		s := &script{}
		w := get(wrap(t, s, p, teapot), "/", set("X-Api-Key", value))
		require.Equal(t, http.StatusTeapot, w.Code)
		require.Len(t, s.takes, 1)
		return s.takes[0].key
	}
	seen := map[string]string{}
	for _, n := range []int{1, 511, 512, 513, 600, 100_000} {
		for _, last := range []string{"a", "b"} {
			k := keyOf(strings.Repeat("x", n-1) + last)
			assert.LessOrEqual(t, len(k), limiter.MaxKeyLen)
			assert.NotContains(t, seen, k)
			seen[k] = last
		}
	}
	// Real limiter, end to end: the limit holds for an over-long key.
	p.Default[0].Limit.Quota = 1
	h := wrap(t, limiter.NewLocal(limiter.Config{}), p, teapot)
	long := set("X-Api-Key", strings.Repeat("y", 5000))
	assert.Equal(t, http.StatusTeapot, get(h, "/", long).Code)
	assert.Equal(t, http.StatusTooManyRequests, get(h, "/", long).Code)
}
