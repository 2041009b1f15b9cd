package middleware_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// Every mistake is told with its place, the rule's name and the value.
func TestPolicyErrors(t *testing.T) {
	rule := func(edit func(*middleware.Rule)) middleware.Policy {
		r := perMinute("a", 5)
		edit(&r)
		return middleware.Policy{Default: []middleware.Rule{r}}
	}
	with := func(edit func(*middleware.Policy)) middleware.Policy {
		p := middleware.Policy{Default: []middleware.Rule{perMinute("a", 5)}}
		edit(&p)
		return p
	}
	routes := func(r ...middleware.Route) middleware.Policy {
		return with(func(p *middleware.Policy) { p.Routes = r })
	}
	address := func(a middleware.Address) middleware.Policy {
		return with(func(p *middleware.Policy) { p.Address = a })
	}
	b, c := perMinute("b", 1), perMinute("c", 1)
	mux := http.NewServeMux()
	for _, e := range []struct {
		policy middleware.Policy
		want   string
	}{
		{middleware.Policy{}, "default: is empty"},
		{middleware.Policy{Routes: []middleware.Route{middleware.Exempt("/")}}, "default: is empty"},
		{rule(func(r *middleware.Rule) { r.Limit.Quota = 0 }), `default[0].quota (rule "a"): 0 is not within 1 to 2147483647`},
		{rule(func(r *middleware.Rule) { r.Limit.Window = 0 }), `default[0].window (rule "a"): 0s is not within 1ms`},
		{rule(func(r *middleware.Rule) { r.Limit.Algorithm = 9 }), `default[0].algorithm (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Limit.Split = 9 }), `default[0].split (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Limit.Burst = 9 }), `default[0].burst (rule "a"): 9 is only for TokenBucket`},
		{rule(func(r *middleware.Rule) { r.Cost = -1 }), `default[0].cost (rule "a"): -1 is negative`},
		{rule(func(r *middleware.Rule) { r.Cost = 6 }), `default[0].cost (rule "a"): 6 can never fit into a limit of 5`},
		{rule(func(r *middleware.Rule) { r.Absent = 9 }), `default[0].absent (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Outage = 9 }), `default[0].outage (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Name = "" }), "default[0].name: is missing"},
		{rule(func(r *middleware.Rule) { r.Name = "a\n" }), `default[0].name: "a\n" is not printable ASCII`},
		{rule(func(r *middleware.Rule) { r.Name = strings.Repeat("x", 65) }), "is not printable ASCII of at most 64 bytes"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Header("a:") }), `default[0].key (rule "a"): header a:: "a:" is not a header name`},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Cookie("") }), `"" is not a cookie name`},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Subject() }), "claim sub: the policy has no Claims function"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.PathValue("id") }), `path id: pattern "" has no wildcard {id}`},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Func(nil) }), "func: the function is nil"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Join() }), "join(): it has no parts"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.FirstOf(middleware.Bearer(), middleware.Join()) }), "first-of(bearer, join()): join(): it has no parts"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.ClientIPBy(middleware.Address{IPv6Prefix: 200}) }), `default[0].key.client-ip.ipv6Prefix (rule "a"): 200 is not within 1 to 128`},
		{rule(func(r *middleware.Rule) { r.Plans = map[string]limiter.Limit{"p": limiter.Per(9, time.Second)} }), "default[0].plan (rule \"a\"): is missing"},
		{rule(func(r *middleware.Rule) { r.Plan = middleware.Header("P") }), "default[0].plans (rule \"a\"): is missing"},
		{rule(func(r *middleware.Rule) {
			r.Plan, r.Plans = middleware.Header("P"), map[string]limiter.Limit{"p": {Window: time.Second}}
		}), `default[0].plans.p.quota (rule "a"): 0 is not within`},
		{with(func(p *middleware.Policy) { p.Always = []middleware.Rule{perMinute("a", 1)} }), `default[0].name: "a" is already the name of always[0]`},
		{routes(middleware.On("/x", perMinute("a", 1))), `routes[0].rules[0].name: "a" is already the name of default[0]`},
		{routes(middleware.Route{Exempt: true}), "routes[0].pattern: is missing"},
		{routes(middleware.On("/x")), "routes[0].rules: is missing"},
		{routes(middleware.Route{Patterns: []string{"/x"}, Exempt: true, Rules: []middleware.Rule{b}}), "routes[0].exempt: true excludes rules"},
		{routes(middleware.On("GET  x", b)), `routes[0].pattern: "GET  x" is not a pattern`},
		{routes(middleware.On("", b)), `routes[0].pattern: "" is not a pattern`},
		{routes(middleware.On("post /x", b)), `routes[0].pattern: "post /x" has a method in lower case`},
		{routes(middleware.On("/x", b), middleware.On("/x", c)), `routes[1].pattern: "/x" is there twice`},
		{routes(middleware.On("/x/{a}", b), middleware.On("/x/{b}", c)), `routes[1].pattern: "/x/{b}" conflicts with pattern "/x/{a}"`},
		{routes(middleware.Exempt("/q"), middleware.On("/{a}/y", b), middleware.On("/x/{b}", c)), `routes[2].pattern: "/x/{b}" conflicts with pattern "/{a}/y"`},
		{with(func(p *middleware.Policy) { p.Mux, p.Routes = mux, []middleware.Route{middleware.On("POST /x", b)} }), `routes[0].pattern: "POST /x" is unknown: the mux has no handler for it`},
		{address(middleware.Address{IPv6Prefix: -1}), "address.ipv6Prefix: -1 is not within 1 to 128"},
		{address(middleware.Address{Hops: -1}), "address.hops: -1 is not within 0 to 32"},
		{address(middleware.Address{Hops: 1, Trusted: prefixes("10.0.0.0/8")}), "address.hops: 1 excludes trusted networks"},
		{address(middleware.Address{Source: 7}), "address.source: 7 is unknown"},
		{address(middleware.Address{Trusted: []netip.Prefix{{}}}), "address.trusted[0]: invalid Prefix is not a network"},
		{address(middleware.Address{Trusted: prefixes("::ffff:0.0.0.0/90")}), "address.trusted[0]: ::ffff:0.0.0.0/90 is not a network"},
		{with(func(p *middleware.Policy) { p.Dialects = middleware.XRateLimit | middleware.XRateLimitSeconds }), `headers: "x-ratelimit" excludes`},
		{with(func(p *middleware.Policy) { p.Dialects = middleware.IETF | middleware.NoHeaders }), `headers: "none" excludes every other`},
		{with(func(p *middleware.Policy) { p.Dialects = 128 }), "headers: 128 is unknown"},
	} {
		m, err := middleware.New(&script{}, e.policy)
		require.Error(t, err, e.want)
		assert.Nil(t, m)
		assert.ErrorIs(t, err, middleware.ErrPolicy)
		assert.ErrorContains(t, err, "middleware: invalid policy: ")
		assert.ErrorContains(t, err, e.want)
		assert.Equal(t, err, e.policy.Check())
		place, ok := errors.AsType[*middleware.PolicyError](err)
		assert.True(t, ok && place.Path != "" && place.Reason != "", e.want)
	}
	_, err := middleware.New(nil, middleware.ReferencePolicy())
	assert.ErrorContains(t, err, "the limiter is nil")
}

// What a policy is made of may be changed after New without effect.
func TestPolicyIsCopied(t *testing.T) {
	p := middleware.Policy{Default: []middleware.Rule{perMinute("default", 5)}}
	p.Default[0].Plan = middleware.Header("Plan")
	p.Default[0].Plans = map[string]limiter.Limit{"pro": limiter.Per(50, time.Minute)}
	h := wrap(t, &script{}, p, teapot)
	p.Default[0].Limit.Quota = 77
	p.Default[0].Plans["pro"] = limiter.Per(99, time.Minute)
	assert.Equal(t, "5", get(h, "/").Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "50", get(h, "/", set("Plan", "pro")).Header().Get("X-RateLimit-Limit"))
}
