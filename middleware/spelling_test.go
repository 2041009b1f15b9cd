package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// spelled is a policy with a limited route of each kind, and two exempt ones.
func spelled() middleware.Policy {
	return middleware.Policy{
		Default: []middleware.Rule{perMinute("default", 100)},
		Routes: []middleware.Route{
			middleware.On("POST /v1/token", perMinute("token", 20)),
			middleware.On("/v1/users/{id}", perMinute("user", 30)),
			middleware.On("/files/", perMinute("files", 40)),
			middleware.On("example.com/login", perMinute("login", 5)),
			middleware.Exempt("GET /.well-known/jwks.json"),
			middleware.Exempt("GET example.com/health"),
		},
	}
}

// sent is a request as the server would have parsed it.
func sent(t *testing.T, method, target, host string) *http.Request {
	u, err := url.ParseRequestURI(target)
	require.NoError(t, err, target)
	r := httptest.NewRequest(method, "/", nil)
	r.URL, r.RequestURI, r.Host = u, target, host
	return r
}

// spends lists the rules whose budgets a request spends.
func spends(t *testing.T, p middleware.Policy, r *http.Request) (rules []string) {
	s := &script{}
	wrap(t, s, p, teapot).ServeHTTP(httptest.NewRecorder(), r)
	for _, q := range s.takes {
		rules = append(rules, ruleOf(q.key))
	}
	return rules
}

// However a request to a limited route is written, it spends that route's budget.
func TestSpellingsOfALimitedRoute(t *testing.T) {
	for rule, targets := range map[string][]string{
		"token": {
			"/v1/token", "/v1/token/", "/v1/token//", "//v1/token", "/v1//token", "/v1%2Ftoken", "/v1%2ftoken", "/%76%31/token",
			"/v1/%74oken", "/v1/%74%6F%6b%65n", "/./v1/token", "/v1/./token", "/v1/x/../token", "/v1/token/.", "/v1/token/x/..",
			"/v1/%2e/token", "/x/%2E%2E/v1/token", "/v1/%2Ftoken", "/v1/token%2F", "/v1%2Ftoken/", "/%2e%2e/v1/token", "/../v1/token",
			"/v1/token?x=1", "/v1/" + strings.Repeat("./", 5000) + "token", "/v1/" + strings.Repeat("x/../", 5000) + "token",
		},
		"user": {
			"/v1/users/7", "/v1/users/7/", "/v1/users/%37", "/v1/users/a%2Fb", "/v1/users/a%20b", "/v1%2Fusers/7", "/v1/users//7",
			"/v1/users/x/../7", "/v1/./users/7", "/v1/users/%2e%2e", "/v1/users/" + strings.Repeat("x", 9000), "/%761/users/%E4%B8%AD",
		},
		"files": {"/files/", "/files/a/b", "/files", "/files//", "/files/../files/a", "/f%69les/a", "/files%2Fa", "/x/../files/", "/files/a%2F..%2Fb"},
	} {
		for _, target := range targets {
			assert.Contains(t, spends(t, spelled(), sent(t, "POST", target, "other.org")), rule, target)
		}
	}
	for _, host := range []string{
		"example.com", "EXAMPLE.com", "Example.Com", "example.com.", "example.com:80", "EXAMPLE.COM.:8443", "eXample.com.",
	} {
		assert.Contains(t, spends(t, spelled(), sent(t, "GET", "/login", host)), "login", host)
		assert.Contains(t, spends(t, spelled(), sent(t, "GET", "//l%6Fgin/", host)), "login", host)
	}
	for _, host := range []string{"", "example.org", "xexample.com", "example.com.org", "example.com..", "[::1]:80", "com"} {
		assert.Equal(t, []string{"default"}, spends(t, spelled(), sent(t, "GET", "/login", host)), host)
	}
	for _, target := range []string{"/V1/token", "/v1/tokens", "/v1/token/x", "/v1/tok%65nx", "/v1%252Ftoken", "/v1token", "/v1/token%00"} {
		assert.Equal(t, []string{"default"}, spends(t, spelled(), sent(t, "POST", target, "")), "%s is something else", target)
	}
}

// No spelling widens an exemption, and the one spelling keeps it.
func TestSpellingsOfAnExemptRoute(t *testing.T) {
	const jwks = "/.well-known/jwks.json"
	for _, c := range []struct {
		method, target, host string
		exempt               bool
	}{
		{"GET", jwks, "", true},
		{"HEAD", jwks, "", true},
		{"GET", jwks + "?x=1", "any.org:8080", true},
		{"GET", "/health", "example.com", true},
		{"GET", "/health", "example.com:8080", true},
		{"POST", jwks, "", false},
		{"GET", jwks + "/", "", false},
		{"GET", "/" + jwks, "", false},
		{"GET", "/x/.." + jwks, "", false},
		{"GET", "/.well-known%2Fjwks.json", "", false},
		{"GET", "/.well-known/%6awks.json", "", false},
		{"GET", "/%2ewell-known/jwks.json", "", false},
		{"GET", "/.well-known/./jwks.json", "", false},
		{"GET", jwks + "/.", "", false},
		{"GET", "/.well-known/JWKS.json", "", false},
		{"GET", "/health", "EXAMPLE.com", false},
		{"GET", "/health", "example.com.", false},
		{"GET", "/health/", "example.com", false},
		{"GET", "/health", "other.org", false},
	} {
		rules := spends(t, spelled(), sent(t, c.method, c.target, c.host))
		assert.Equal(t, c.exempt, len(rules) == 0, "%+v: %v", c, rules)
	}
	// An exemption of a whole tree holds for whatever is in the tree by every reading.
	p := spelled()
	p.Routes = append(p.Routes, middleware.Exempt("/static/"))
	for target, exempt := range map[string]bool{
		"/static/": true, "/static/a.css": true, "/static/a//b": true, "/static/a%20b": true, "/static/a%2Fb": true, "/static/a/../b": true,
		"/static/../v1/users/7": false, "/static/%2e%2e/v1/users/7": false, "/static/..%2Fv1/users/7": false, "/x/../static/a": false,
		"/static%2Fa": false, "//static/a": false, "/%73tatic/a": false,
	} {
		assert.Equal(t, exempt, len(spends(t, p, sent(t, "GET", target, ""))) == 0, target)
	}
}

// A spelling that may lead to two limited routes spends from both: one would be an escape
// from the other. The headers speak of the one by which the mux would go.
func TestSpellingOfTwoRoutes(t *testing.T) {
	p := middleware.Policy{Routes: []middleware.Route{
		middleware.On("/v1/", perMinute("v1", 2)), middleware.On("/v1/agents/{id}", perMinute("agent", 30)),
		middleware.On("/v1/agents/{id}/runs", perMinute("runs", 40)),
	}}
	for target, rules := range map[string][]string{
		"/v1/agents/7": {"agent"}, "/v1//agents/7": {"agent", "v1"}, "/v1/agents/7/": {"v1", "agent"}, "/v1/agents/7%2Fruns": {"agent", "runs"},
		"/v1/agents/x/../7": {"agent", "v1"}, "/v1/agents/%37": {"agent"}, "/v1/agents/7/runs": {"runs"}, "/v1/%61gents/7": {"agent", "v1"},
	} {
		r := sent(t, "GET", target, "")
		assert.ElementsMatch(t, rules, spends(t, p, r), target)
		w := httptest.NewRecorder()
		wrap(t, &script{}, p, teapot).ServeHTTP(w, r)
		assert.Equal(t, map[string]string{"v1": "2", "agent": "30", "runs": "40"}[rules[0]], w.Header().Get("X-RateLimit-Limit"), target)
		w = httptest.NewRecorder()
		wrap(t, always(denied, nil), p, teapot).ServeHTTP(w, r)
		assert.Equal(t, http.StatusTooManyRequests, w.Code, target)
	}
}

// The value of a wildcard is the same in every spelling, or each would be a budget.
func TestPathValueInEverySpelling(t *testing.T) {
	r := perMinute("user", 1)
	r.Key = middleware.PathValue("id")
	p := middleware.Policy{Routes: []middleware.Route{middleware.On("/v1/users/{id}", r)}}
	for _, target := range []string{
		"/v1/users/7", "/v1/users/%37", "/v1/users/7/", "//v1/users/7", "/v1%2Fusers%2F7", "/v1/users/x/../7", "/v1/users/./7", "/%76%31/users/7",
	} {
		assert.Equal(t, "7", subject(t, p, target), target)
	}
}

// What the router says that it chose counts, whatever the path looks like.
func TestRouteOfTheRouter(t *testing.T) {
	for _, c := range []struct {
		chosen, target string
		rules          []string
	}{
		{"/v1/users/:id", "/v1/users/7", []string{"user"}},
		{"/v1/users/:id", "/v1/users/7/x/y", []string{"user"}}, // echo's last parameter takes the rest
		{"/v1/users/{userID}", "/whatever", []string{"user"}},
		{"/v1/users/{id:[0-9]+}", "/v1/users/7", []string{"user"}},
		{"POST /v1/token", "/x", []string{"token"}},
		{"/v1/token", "/x", []string{"token"}},
		{"/other", "/v1/token", []string{"default"}},
		{"/", "/v1/token", []string{"token"}},                                     // all paths are part of it
		{"/v1/*", "/v1/token", []string{"token"}},                                 // a sub-router, in which this is a part
		{"/v1/*any", "/v1/%74oken", []string{"token"}},                            // whichever way that reads it
		{"/v1/*", "/v1/nothing", []string{"default"}},                             // of which the policy has no part
		{"/files/*path", "/files/a/b", []string{"files"}},                         //
		{"example.com/login", "/login", []string{"login"}},                        // with its host
		{"/v1/to ken", "/v1/token", []string{"default"}},                          // a space after the path has begun
		{"", "/v1//token", []string{"token"}},                                     // it has chosen none
		{"/.well-known/jwks.json", "/.well-known/jwks.json", []string{"default"}}, // POST
	} {
		p := spelled()
		p.Route = func(*http.Request) string { return c.chosen }
		assert.Equal(t, c.rules, spends(t, p, sent(t, "POST", c.target, "")), "%+v", c)
	}
	p := spelled()
	p.Route = func(r *http.Request) string { return "/.well-known/:file" }
	assert.Empty(t, spends(t, p, sent(t, "GET", "/.well-known/jwks.json", "")), "exempt within what was chosen")
	p.Route = func(r *http.Request) string { return "/v1/:x" }
	assert.NotEmpty(t, spends(t, p, sent(t, "GET", "/.well-known/jwks.json", "")), "exempt beside it")
}

// Patterns that never match are refused, each with what to write instead.
func TestPatternsThatNeverMatch(t *testing.T) {
	for pattern, hint := range map[string]string{
		"* /v1/token": `write "/v1/token"`, "ANY /v1/token": `write "/v1/token"`, "all /x": `write "/x"`,
		"localhost:8080/x": `write "localhost/x"`, "GET example.com:443/": `write "GET example.com/"`, "[::1]:80/x": "port",
		"*.example.com/x": "name each host", "GET */x": "name each host",
		"https://example.com/x": `write "example.com/x"`, "GET http://example.com/": `write "GET example.com/"`,
		"POST /v1/token\n": `write "POST /v1/token"`, "/x ": `write "/x"`, " /x": `write "/x"`, "/x\t": `write "/x"`, "GET /x\r\n": `write "GET /x"`,
		"/v1/a\x00b": "control character", "/v1\nx": "control character",
		"/v1/*": `write "{rest...}"`, "/v1/*path": `write "{path...}"`, "/*": `write "{rest...}"`, "/v1/*.json": "whole segment", "/v1/{*rest}": `write "{rest...}"`,
		"/v1/:id": `write "{id}"`, "/v1/:id/runs": `write "{id}"`, "/v1/<id>": `write "{id}"`, "/v1/<int:id>": "is not a wildcard", "/v1/[id]": `write "{id}"`, "/v1/{id:[0-9]+}": `write "{id}"`,
		"GET|POST /x": "each needs a pattern", "GET+POST /x": "each needs a pattern", "!GET /x": "no method", "~ /x": "no method", "get\t/x": `write "GET /x"`, "ANY\t/x": `write "/x"`,
		"GET/v1/token": `write "GET /v1/token"`, "DELETE/x": `write "DELETE /x"`, "^/v1/token$": `the host "^"`, "~/x": "begins with a slash", "./x": "begins with a slash", `"/x"`: "begins with a slash", "'POST /x'": "no method",
		"a.com,b.com/x": "a host is as clients send it", "u@a.com/x": "a host", "m\u00fcnchen.de/x": "xn--", "GET ex%41mple.com/x": "a host", "$host/x": "a host",
		"POST /v1/token HTTP/1.1": `"%20"`, "POST /a POST /b": "one pattern", "GET host name/x": "a host", "/v1/to ken": "not a pattern", "GET /v1/to ken": "white space", "/x\u200b": "does not show", "\ufeff/x": "does not show", "GET\u00a0/x": "does not show",
		"/v1/...": `write "{rest...}"`,
		"/a?x=1":  `write "/a"`, "GET /a#b": `write "GET /a"`,
		"/50%": `write "%25"`, "/a%zz": `write "%25"`,
		"get /x": `write "GET /x"`, "/v1//x": `write "/v1/x"`, "GET /v1/../x/": `write "GET /x/"`, "/./x": `write "/x"`, "POST": "not a pattern", "": "not a pattern", "/{": "not a pattern", "/{id}.json": "not a pattern",
	} {
		for _, route := range []middleware.Route{middleware.On(pattern, perMinute("r", 1)), middleware.Exempt(pattern)} {
			p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 1)}, Routes: []middleware.Route{route}}
			err := p.Check()
			require.ErrorIs(t, err, middleware.ErrPolicy, "%q", pattern)
			assert.ErrorContains(t, err, hint, "%q", pattern)
			var e *middleware.PolicyError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "routes[0].pattern", e.Path)
		}
	}
	// An exemption in a spelling that another router reads as something else holds for nobody.
	p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 1)}, Routes: []middleware.Route{middleware.Exempt("/a%2Fb")}}
	assert.ErrorContains(t, p.Check(), "is never found")
}

// Every pattern that is accepted is found by the plainest request that it describes.
func TestPatternsThatMatch(t *testing.T) {
	for pattern, target := range map[string]string{
		"/": "/x", "/{$}": "/", "GET /v1/{kind}/list": "/v1/users/list", "/sp%20ace": "/sp%20ace", "/a%2Ab": "/a%2Ab", "/%3Aid": "/:id", "/v1/x:cancel": "/v1/x:cancel",
		"Example.COM/x": "/x", "example.com./x": "/x", "GET\t/tab": "/tab", "PROPFIND /dav/": "/dav/a", "/files/{path...}": "/files/a/b", "/end/{$}": "/end/", "/caf%C3%A9": "/caf%C3%A9", "/café": "/caf%C3%A9", "/.well-known/x": "/.well-known/x",
	} {
		for _, exempt := range []bool{false, true} {
			route := middleware.On(pattern, perMinute("r", 1))
			if exempt {
				route = middleware.Exempt(pattern)
			}
			p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 1)}, Routes: []middleware.Route{route}}
			require.NoError(t, p.Check(), "%q", pattern)
			method := "GET"
			if strings.HasPrefix(pattern, "PROPFIND") {
				method = "PROPFIND"
			}
			rules := spends(t, p, sent(t, method, target, "example.com"))
			if exempt {
				assert.Empty(t, rules, "%q", pattern)
			} else {
				assert.Equal(t, []string{"r"}, rules, "%q", pattern)
			}
		}
	}
}

// A mux or a router that is known refuses exactly the patterns that no request can reach.
func TestKnownPatterns(t *testing.T) {
	routed := []string{"GET /v1/users/list", "/v1/agents/{id}", "POST example.com/hook", "/files/", "/end/{$}"}
	mux := http.NewServeMux()
	for _, p := range routed {
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	for pattern, known := range map[string]bool{
		"/v1/{kind}/list": true, "GET /v1/{kind}/list": true, "HEAD /v1/users/list": true, "/v1/{rest...}": true, "/": true, "/v1/": true, "/hook": true,
		"POST /{x}": true, "/v1/agents/me": true, "DELETE /v1/agents/{x}": true, "/files/{a}/{b}": true, "/files": true, "example.com/v1/agents/7": true, "/end": true,
		"POST /v1/{kind}/list/x": false, "/v2/{kind}/list": false, "GET /v1/users/{id}": true, "/v1/users/{id}/x": false, "/v2/": false, "GET /hook": false, "example.org/hook": false,
		"/{$}": false, "/v1/agent/{id}": false, "/v1/agents/{id}/x": false, "/end/x": false,
	} {
		policies := map[string]middleware.Policy{
			"mux":   {Mux: mux},
			"known": {Known: middleware.KnownAmong(routed...)},
			"gin":   {Known: middleware.KnownAmong("GET /v1/users/list", "/v1/agents/:id", "POST example.com/hook", "/files/*path", "/end/")},
		}
		for name, p := range policies {
			if name == "gin" && strings.HasPrefix(pattern, "/end/") {
				continue // where a slash at the end is not the tree below it
			}
			p.Routes = []middleware.Route{middleware.On(pattern, perMinute("r", 1))}
			if err := p.Check(); known {
				assert.NoError(t, err, "%s: %q", name, pattern)
			} else {
				assert.ErrorContains(t, err, "is unknown", "%s: %q", name, pattern)
			}
		}
	}
	assert.ErrorContains(t, middleware.Policy{
		Known: func(string) bool { return false }, Routes: []middleware.Route{middleware.Exempt("/x")}, Default: []middleware.Rule{perMinute("d", 1)},
	}.Check(), `Routes[0].Patterns: "/x" is unknown`)
}

// What a badly spelt path costs in memory does not grow with its length.
func TestLongSpellings(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget at random")
	}
	h := wrap(t, limiter.NewLocal(limiter.Config{}), spelled(), bare)
	for _, part := range []string{"/", "/.", "/..", "/x/..", "%2F", "/%2e%2e", "/x", "/%00"} {
		allocs := func(n int) float64 {
			r, w := sent(t, "POST", "/"+strings.Repeat(part, n/len(part)), "EXAMPLE.com."), &sink{make(http.Header, 8)}
			return testing.AllocsPerRun(10, func() { h.ServeHTTP(w, r) })
		}
		assert.InDelta(t, allocs(1000), allocs(100_000), 50, part)
	}
}
