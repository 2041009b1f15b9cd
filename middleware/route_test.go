package middleware

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// patterns are all kinds that http.ServeMux knows.
var patterns = []string{
	"/a", "/a/", "POST /a", "GET /a/b", "/a/{x}", "GET /a/{x}/c", "/d/{rest...}", "/e/{$}",
	"example.com/a", "example.com/", "POST example.com/a/{x}", "DELETE /z/", "/g/{x}/h/{y}",
}

// compilePatterns is a policy with a rule for each pattern, named after it.
func compilePatterns(t *testing.T) *compiled {
	rule := func(name string) []Rule { return []Rule{{Name: name, Limit: limiter.Per(1, time.Second)}} }
	p := Policy{Default: rule("default")}
	for _, pattern := range patterns {
		p.Routes = append(p.Routes, Route{Patterns: []string{pattern}, Rules: rule(pattern)})
	}
	c, err := compile(p)
	require.NoError(t, err)
	return c
}

// The rule is that of the pattern that a mux of the same patterns would serve by,
// also where that mux redirects, and also from memory. Where that mux would serve by none,
// another router might, and then its rule counts.
func TestRoutesAreThoseOfTheMux(t *testing.T) {
	c := compilePatterns(t)
	mux := http.NewServeMux()
	for _, p := range append([]string{"/"}, patterns...) {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	for range 4_000 {
		path := ""
		for range 1 + rng.IntN(4) {
			path += "/" + pick("a", "b", "c", "d", "e", "f", "g", "h", "", ".", "..", "%61", "%2F", "x y")
		}
		r := &http.Request{
			Method: pick("GET", "HEAD", "POST", "DELETE", "get"),
			Host:   pick("", "example.com", "example.com:8080", "Example.com", "other.org", "::1"),
			URL:    httptest.NewRequest("GET", "http://x/", nil).URL,
		}
		if u, err := r.URL.Parse(pathEscapeSpaces(path)); err == nil {
			r.URL = u
		}
		r.URL.Host = ""
		_, want := mux.Handler(r)
		wantRule := want
		if c.table.routes[want] == nil || want == "/" {
			wantRule = "default"
		}
		for range 2 {
			got := c.memo.find(&c.table, r, "")
			if wantRule == "default" && !isPlain(r) {
				continue
			}
			require.Equal(t, wantRule, got.rules[0].name, "%s %s %s (%s)", r.Method, r.Host, r.URL, want)
		}
	}
}

// pathEscapeSpaces makes a path that url.Parse takes and that has escapes.
func pathEscapeSpaces(s string) string {
	out := ""
	for _, c := range s {
		if c == ' ' {
			out += "%20"
		} else {
			out += string(c)
		}
	}
	return out
}

// A memo whose slots are fought over still gives the right answers.
func TestMemoCollisions(t *testing.T) {
	c := compilePatterns(t)
	for range 3 {
		for i := range 2000 {
			r := httptest.NewRequest("GET", fmt.Sprintf("/g/%d/h/%d", i, i), nil)
			r.Host = "other.org"
			require.Equal(t, "/g/{x}/h/{y}", c.memo.find(&c.table, r, "").pattern)
			r = httptest.NewRequest("DELETE", fmt.Sprintf("/z/%d", i), nil)
			r.Host = "other.org"
			require.Equal(t, "DELETE /z/", c.memo.find(&c.table, r, "").pattern)
		}
	}
}

// An escaped slash does not end a segment: the same decoded path, another route.
func TestMemoTellsEscapedPathsApart(t *testing.T) {
	c := compilePatterns(t)
	for range 2 {
		for target, want := range map[string]string{"/a/1/c": "GET /a/{x}/c", "/a/1%2Fc": "/a/{x}"} {
			r := httptest.NewRequest("GET", target, nil)
			r.Host = "other.org"
			assert.Equal(t, want, c.memo.find(&c.table, r, "").pattern, target)
		}
	}
}

func TestPatternsOfAMux(t *testing.T) {
	mux := http.NewServeMux()
	for _, p := range []string{"POST /v1/token", "/v1/agents/{id}", "GET example.com/x/", "/files/{path...}", "GET /end/{$}", "/sp%20ace"} {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	patterns, ok := patternsOf(mux)
	require.True(t, ok, "this Go version keeps the patterns of http.ServeMux elsewhere")
	isKnown := KnownAmong(patterns...)
	for _, p := range []string{
		"POST /v1/token", "/v1/token", "/v1/agents/{x}", "GET /v1/agents/7", "GET example.com/x/y", "HEAD example.com/x/",
		"/files/", "/files/a/{b}", "/files/{rest...}", "GET /end/{$}", "/sp%20ace",
	} {
		assert.True(t, isKnown(p), p)
	}
	for _, p := range []string{
		"GET /v1/token", "POTS /v1/token", "/v1/tokne", "/v1/agents/{x}/y", "example.org/x/", "/end/more", "/v2/{rest...}", "/{$}",
	} {
		assert.False(t, isKnown(p), p)
	}
}

func TestWindowsOfHeaders(t *testing.T) {
	b, err := newBudget("a", limiter.Limit{Quota: 3, Window: 1500 * time.Millisecond}, 1)
	require.NoError(t, err)
	assert.Equal(t, `"a";q=3;w=2`, b.ietfPolicy, "windows are rounded up")
}
