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
		{middleware.Policy{}, "Default: is empty"},
		{middleware.Policy{Routes: []middleware.Route{middleware.Exempt("/")}}, "Default: is empty"},
		{rule(func(r *middleware.Rule) { r.Limit.Quota = -1 }), `Default[0].Limit.Quota (rule "a"): -1 is not within 0 to 2147483647`},
		{rule(func(r *middleware.Rule) { r.Limit.Window = 0 }), `Default[0].Limit.Window (rule "a"): 0s is not within 1ms`},
		{rule(func(r *middleware.Rule) { r.Limit.Algorithm = 9 }), `Default[0].Limit.Algorithm (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Limit.Split = 9 }), `Default[0].Limit.Split (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Limit.Burst = 9 }), `Default[0].Limit.Burst (rule "a"): 9 is only for TokenBucket`},
		{rule(func(r *middleware.Rule) { r.Cost = -1 }), `Default[0].Cost (rule "a"): -1 is negative`},
		{rule(func(r *middleware.Rule) { r.Cost = 6 }), `Default[0].Cost (rule "a"): 6 can never fit into a limit of 5`},
		{rule(func(r *middleware.Rule) { r.Absent = 9 }), `Default[0].Absent (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Outage = 9 }), `Default[0].Outage (rule "a"): 9 is unknown`},
		{rule(func(r *middleware.Rule) { r.Name = "" }), "Default[0].Name: is missing"},
		{rule(func(r *middleware.Rule) { r.Name = "a\n" }), `Default[0].Name: "a\n" is not printable ASCII`},
		{rule(func(r *middleware.Rule) { r.Name = strings.Repeat("x", 65) }), "is not printable ASCII of at most 64 bytes"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Header("a:") }), `Default[0].Key (rule "a"): header a:: "a:" is not a header name`},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Cookie("") }), `"" is not a cookie name`},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Subject() }), "claim sub: the policy has no Claims function"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.PathValue("id") }), `path id: pattern "" has no wildcard {id}`},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Func(nil) }), "func: the function is nil"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.Join() }), "join(): it has no parts"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.FirstOf(middleware.Bearer(), middleware.Join()) }), "first-of(bearer, join()): join(): it has no parts"},
		{rule(func(r *middleware.Rule) { r.Key = middleware.ClientIPBy(middleware.Address{IPv6Prefix: 200}) }), `Default[0].Key.Address.IPv6Prefix (rule "a"): 200 is not within 1 to 128`},
		{rule(func(r *middleware.Rule) { r.Plans = map[string]limiter.Limit{"p": limiter.Per(9, time.Second)} }), "Default[0].Plan (rule \"a\"): is missing"},
		{rule(func(r *middleware.Rule) { r.Plan = middleware.Header("P") }), "Default[0].Plans (rule \"a\"): is missing"},
		{rule(func(r *middleware.Rule) {
			r.Plan, r.Plans = middleware.Header("P"), map[string]limiter.Limit{"p": {Quota: -2, Window: time.Second}}
		}), `Default[0].Plans["p"].Quota (rule "a"): -2 is not within 0 to`},
		{with(func(p *middleware.Policy) { p.Always = []middleware.Rule{perMinute("a", 1)} }), `Default[0].Name: "a" is already the name of Always[0]`},
		{routes(middleware.On("/x", perMinute("a", 1))), `Routes[0].Rules[0].Name: "a" is already the name of Default[0]`},
		{routes(middleware.Route{Exempt: true}), "Routes[0].Patterns: is missing"},
		{routes(middleware.On("/x")), "Routes[0].Rules: is missing"},
		{routes(middleware.Route{Patterns: []string{"/x"}, Exempt: true, Rules: []middleware.Rule{b}}), "Routes[0].Exempt: true excludes rules"},
		{routes(middleware.On("GET  x", b)), `Routes[0].Patterns: "GET  x" is not a pattern`},
		{routes(middleware.On("", b)), `Routes[0].Patterns: "" is not a pattern`},
		{routes(middleware.On("post /x", b)), `Routes[0].Patterns: "post /x" has a method in lower case`},
		{routes(middleware.On("/x", b), middleware.On("/x", c)), `Routes[1].Patterns: "/x" is there twice`},
		{routes(middleware.On("/x/{a}", b), middleware.On("/x/{b}", c)), `Routes[1].Patterns: "/x/{b}" conflicts with pattern "/x/{a}"`},
		{routes(middleware.Exempt("/q"), middleware.On("/{a}/y", b), middleware.On("/x/{b}", c)), `Routes[2].Patterns: "/x/{b}" conflicts with pattern "/{a}/y"`},
		{with(func(p *middleware.Policy) { p.Mux, p.Routes = mux, []middleware.Route{middleware.On("POST /x", b)} }), `Routes[0].Patterns: "POST /x" is unknown: the mux has no handler for it`},
		{address(middleware.Address{IPv6Prefix: -1}), "Address.IPv6Prefix: -1 is not within 1 to 128"},
		{address(middleware.Address{Hops: -1}), "Address.Hops: -1 is not within 0 to 32"},
		{address(middleware.Address{Hops: 1, Trusted: prefixes("10.0.0.0/8")}), "Address.Hops: 1 excludes trusted networks"},
		{address(middleware.Address{Source: 7}), "Address.Source: 7 is unknown"},
		{address(middleware.Address{Trusted: []netip.Prefix{{}}}), "Address.Trusted[0]: invalid Prefix is not a network"},
		{address(middleware.Address{Trusted: prefixes("::ffff:0.0.0.0/90")}), "Address.Trusted[0]: ::ffff:0.0.0.0/90 is not a network"},
		{with(func(p *middleware.Policy) { p.Dialects = middleware.XRateLimit | middleware.XRateLimitSeconds }), "Dialects: XRateLimit excludes XRateLimitSeconds"},
		{with(func(p *middleware.Policy) { p.Dialects = middleware.IETF | middleware.NoHeaders }), "Dialects: NoHeaders excludes every other"},
		{with(func(p *middleware.Policy) { p.Dialects = 128 }), "Dialects: 128 is unknown"},
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

// An error names the field as its reader wrote it: Text in Go words, Path in the file's.
func TestFieldsInBothLanguages(t *testing.T) {
	for path, want := range map[string]string{
		"default[0].quota":                    "Default[0].Limit.Quota",
		"always[2].burst":                     "Always[2].Limit.Burst",
		"routes[1].rules[0].window":           "Routes[1].Rules[0].Limit.Window",
		"routes[1].rules[0].lease":            "Routes[1].Rules[0].Limit.Lease",
		"routes[1].pattern[3]":                "Routes[1].Patterns[3]",
		"routes[1].pattern":                   "Routes[1].Patterns",
		"default[0].plans.pro.quota":          `Default[0].Plans["pro"].Quota`,
		"default[0].plans.v1.2[x].window":     `Default[0].Plans["v1.2[x]"].Window`,
		"default[0].plans":                    "Default[0].Plans",
		"default[0].key":                      "Default[0].Key",
		"default[0].key.client-ip.hops":       "Default[0].Key.Address.Hops",
		"default[0].key.client-ip.trusted[1]": "Default[0].Key.Address.Trusted[1]",
		"address.ipv6Prefix":                  "Address.IPv6Prefix",
		"headers":                             "Dialects",
		"skip_methods[1]":                     "SkipMethods[1]",
		"namespace":                           "Namespace",
		"":                                    "",
	} {
		assert.Equal(t, want, (&middleware.PolicyError{Path: path}).Field())
	}
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
