package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What a client that wants more than its share would send, for each kind of key. It wins
// in two ways: by many subjects for what is one (each with a budget of its own), and by
// landing on the subject of another, or on none.

// hostile is one kind of key, and what is tried on it.
type hostile struct {
	kind   string
	key    middleware.Key
	target string
	// same are spellings of one subject: all must count together.
	same []func(*http.Request)
	// apart are subjects that look alike: none may count with another one or with same.
	apart []func(*http.Request)
	// absent are requests without a subject: all must count together, apart from all others.
	absent []func(*http.Request)
}

func plain(*http.Request) {}

// proxied is a request that came through the trusted proxy with these header lines.
func proxied(name string, lines ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr = "10.0.0.1:1"
		set(name, lines...)(r)
	}
}

// hostileAddresses are the keys by address.
func hostileAddresses() []hostile {
	trusted := func(s middleware.Source) middleware.Key {
		return middleware.ClientIPBy(middleware.Address{Source: s, Trusted: prefixes("10.0.0.0/8")})
	}
	return []hostile{
		{
			kind: "socket peer", key: middleware.PeerIP(),
			same: []func(*http.Request){
				from("192.0.2.1:1"), from("192.0.2.1:65535"), from("[::ffff:192.0.2.1]:1"), from("[::FFFF:C000:0201]:1"),
				from("[0:0:0:0:0:ffff:c000:201]:1"), proxyless("203.0.113.9"), from("[64:ff9b::c000:201]:1"), from("[::ffff:0:c000:201]:1"),
				from("[64:FF9B::192.0.2.1]:80"), from("[2002:c000:201:7::1]:1"), // translated: behind it is this one
			},
			apart:  []func(*http.Request){from("192.0.2.2:1"), from("[::192.0.2.1]:1"), from("[64:ff9b:1::c000:201]:1"), from("[64:ff9b::c000:203]:1"), from("[2001:db8::1]:1")},
			absent: []func(*http.Request){from("@"), from(""), from("192.0.2.1" + strings.Repeat("1", 5000)), from("[fe80::1%]:1")},
		},
		{
			kind: "IPv6 peer", key: middleware.ClientIP(),
			same: []func(*http.Request){
				from("[2001:db8:1:2::1]:1"), from("[2001:db8:1:2:ffff:ffff:ffff:ffff]:1"), from("[2001:DB8:1:2::7%eth0]:1"),
				from("[2001:db8:1:2::7%eth1]:1"),
			},
			apart: []func(*http.Request){from("[2001:db8:1:3::1]:1"), from("[2001:db8:1:1::1]:1")},
		},
		{
			kind: "IPv6 peer one by one", key: middleware.ClientIPBy(middleware.Address{IPv6Prefix: 128}),
			same:  []func(*http.Request){from("[fe80::1]:1"), from("[fe80::1%eth0]:1"), from("[FE80::0001%a%b]:1")},
			apart: []func(*http.Request){from("[fe80::2%eth0]:1")},
		},
		{
			kind: "X-Forwarded-For", key: trusted(middleware.XForwardedFor),
			same: []func(*http.Request){
				proxied("X-Forwarded-For", "203.0.113.9"), proxied("X-Forwarded-For", "1.1.1.1, 203.0.113.9"),
				proxied("X-Forwarded-For", "2.2.2.2", "203.0.113.9, 10.0.0.3"), proxied("X-Forwarded-For", "::ffff:203.0.113.9"),
				proxied("X-Forwarded-For", "[::ffff:cb00:7109]:99"), proxied("X-Forwarded-For", "\t203.0.113.9:1 "),
				from("203.0.113.9:1"),
			},
			apart: []func(*http.Request){
				from("198.51.100.7:1"), proxied("X-Forwarded-For", "203.0.113.10"),
				// All that is unreadable is on one budget, and not on the proxy's.
				proxied("X-Forwarded-For", "203.0.113.9, unknown"), from("10.0.0.1:1"), from("10.0.0.2:1"),
			},
		},
		{
			kind: "Forwarded", key: trusted(middleware.Forwarded),
			same: []func(*http.Request){
				proxied("Forwarded", "for=203.0.113.9"), proxied("Forwarded", `for=1.1.1.1, FOR="203.0.113.9:80";by=x`),
				proxied("Forwarded", `for="1.1.1.1`, `for="[::ffff:203.0.113.9]"`), proxied("Forwarded", `for="1.1.1.1, for=203.0.113.9`),
			},
			apart: []func(*http.Request){from("198.51.100.7:1"), proxied("Forwarded", `for=203.0.113.9;for=203.0.113.9`), from("10.0.0.1:1")},
		},
	}
}

// hostileValues are the keys by what a client says of itself.
func hostileValues() []hostile {
	long := strings.Repeat("k", 600)
	return []hostile{
		{
			kind: "header", key: middleware.Header("X-Api-Key"),
			same:   []func(*http.Request){set("X-Api-Key", "k"), set("x-api-KEY", "k"), set("X-Api-Key", "k", "other")},
			apart:  []func(*http.Request){set("X-Api-Key", "K"), set("X-Api-Key", "k\x00"), set("X-Api-Key", "k,other"), set("X-Api-Key", long+"a"), set("X-Api-Key", long+"b")},
			absent: []func(*http.Request){plain, set("X-Api-Key", ""), set("X-Api-Key", "", "k"), set("X-Api_Key", "k")},
		},
		{
			kind: "cookie", key: middleware.Cookie("sid"),
			same:   []func(*http.Request){set("Cookie", "sid=s"), set("Cookie", `sid="s"`), set("Cookie", "a=b;  sid=s;sid=t"), set("Cookie", "x=y", "sid=s")},
			apart:  []func(*http.Request){set("Cookie", "sid=S"), set("Cookie", "sid=s=s"), set("Cookie", "sid="+long)},
			absent: []func(*http.Request){plain, set("Cookie", "sid="), set("Cookie", "SID=s"), set("Cookie", "sid"), set("Cookie", `sid=a"b`), set("Cookie", "sid=\x01")},
		},
		{
			kind: "path", key: middleware.PathValue("id"), target: "/agents/7",
			same:  []func(*http.Request){plain, path("/agents/%37"), path("//agents/./7"), path("/x/../agents/7"), path("/agents/7?id=8")},
			apart: []func(*http.Request){path("/agents/7%2F"), path("/agents/07"), path("/agents/7%00"), path("/agents/" + long)},
		},
		{
			kind: "bearer", key: middleware.Bearer(),
			same:   []func(*http.Request){set("Authorization", "Bearer t"), set("Authorization", "bEARER \t t "), set("Authorization", "Bearer t", "Bearer u")},
			apart:  []func(*http.Request){set("Authorization", "Bearer T"), set("Authorization", "Bearer t t"), set("Authorization", "Bearer "+long)},
			absent: []func(*http.Request){plain, set("Authorization", "Bearer"), set("Authorization", "Bearer  "), set("Authorization", "Basic t"), set("Authorization", "Bearert"), set("Authorization", "t")},
		},
		{
			kind: "subject of the context", key: middleware.Subject(),
			same: []func(*http.Request){
				claims(map[string]string{"sub": "u"}),
				both(claims(map[string]string{"sub": "u", "SUB": "v"}), set("Sub", "v"), set("Authorization", "Bearer v")),
			},
			apart:  []func(*http.Request){claims(map[string]string{"sub": "U"}), claims(map[string]string{"sub": "u "})},
			absent: []func(*http.Request){plain, claims(map[string]string{"sub": ""}), claims(map[string]string{"name": "u"}), set("Sub", "u")},
		},
		{
			kind: "function", key: middleware.Func(func(r *http.Request) (string, bool) { v := r.Header.Get("F"); return v, v != "no" }),
			same:   []func(*http.Request){set("F", "f"), set("F", "f", "g")},
			apart:  []func(*http.Request){set("F", "f\x01"), set("F", long)},
			absent: []func(*http.Request){plain, set("F", "no"), set("F", "")},
		},
		{
			kind: "join", key: middleware.Join(middleware.Header("A"), middleware.Header("B")),
			same: []func(*http.Request){both(set("A", "ab"), set("B", "c")), both(set("A", "ab"), set("B", "c"), set("C", "d"))},
			apart: []func(*http.Request){
				both(set("A", "a"), set("B", "bc")), both(set("A", "c"), set("B", "ab")), both(set("A", "ab1:c"), set("B", "c")),
				both(set("A", "2:ab1"), set("B", "c")), both(set("A", long), set("B", "c")), both(set("A", long+"1:"), set("B", "c")),
			},
			absent: []func(*http.Request){plain, set("A", "2:ab1:c"), set("B", "c"), both(set("A", ""), set("B", "c"))},
		},
		{
			kind: "next key", key: middleware.FirstOf(middleware.Header("A"), middleware.Header("B")),
			same:   []func(*http.Request){set("A", "x"), both(set("A", "x"), set("B", "y")), both(set("A", "x"), set("B", "x"))},
			apart:  []func(*http.Request){set("B", "x"), set("B", "0:x"), set("A", "0:x"), set("A", "1:x"), both(set("A", ""), set("B", "y"))},
			absent: []func(*http.Request){plain, both(set("A", ""), set("B", ""))},
		},
		{
			kind: "shared", key: middleware.Shared(),
			absent: []func(*http.Request){plain, from("192.0.2.9:1"), set("X-Api-Key", "k"), path("/agents/8")},
		},
	}
}

// both joins edits.
func both(edits ...func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		for _, e := range edits {
			e(r)
		}
	}
}

// proxyless is a request that came directly and claims to be forwarded.
func proxyless(client string) func(*http.Request) {
	return both(set("X-Forwarded-For", client), set("Forwarded", "for="+client), set("X-Real-Ip", client), set("Cf-Connecting-Ip", client))
}

// path is an edit that asks for something else.
func path(target string) func(*http.Request) {
	return func(r *http.Request) { r.URL = httptest.NewRequest(http.MethodGet, target, nil).URL }
}

func TestHostileKeys(t *testing.T) {
	for _, c := range append(hostileAddresses(), hostileValues()...) {
		t.Run(c.kind, func(t *testing.T) {
			r := perMinute("rule", 100)
			r.Key = c.key
			p := middleware.Policy{Default: []middleware.Rule{perMinute("other", 1)}}
			p.Routes = []middleware.Route{middleware.On("/agents/{id}", r)}
			if c.target == "" {
				p.Routes, c.target = []middleware.Route{middleware.On("/", r)}, "/"
			}
			p.Claims = func(ctx context.Context, name string) (string, bool) {
				values, _ := ctx.Value(claimKey{}).(map[string]string)
				v, ok := values[name]
				return v, ok
			}
			var s *script
			budgetOf := func(edit func(*http.Request)) string {
				s = &script{}
				require.Equal(t, http.StatusTeapot, get(wrap(t, s, p, teapot), c.target, edit).Code)
				require.Len(t, s.takes, 1, "never unlimited")
				require.Equal(t, "rule", ruleOf(s.takes[0].key), "never by another rule")
				require.NoError(t, limiter.Check(s.takes[0].key, s.takes[0].limit, 1), "never an error of the limiter's")
				return s.takes[0].key
			}
			owner := map[string]string{} // of a budget
			for i, edit := range c.same {
				k := budgetOf(edit)
				owner[k] = "same"
				assert.Len(t, owner, 1, "same[%d] has a budget of its own: %q", i, k)
			}
			for i, edit := range c.apart {
				k := budgetOf(edit)
				assert.NotContains(t, owner, k, "apart[%d] is on another's budget", i)
				owner[k] = fmt.Sprintf("apart[%d]", i)
			}
			for i, edit := range c.absent {
				assert.Equal(t, limiter.Key("rule", ""), budgetOf(edit), "absent[%d] is somebody", i)
			}
			assert.NotContains(t, owner, limiter.Key("rule", ""), "somebody is nobody")

			r.Absent = middleware.AbsentDeny
			p.Routes[0].Rules[0] = r
			for i, edit := range c.absent {
				s = &script{}
				status := http.StatusForbidden
				if c.kind == "shared" {
					status = http.StatusTeapot // one budget for all is what it asks for
				}
				assert.Equal(t, status, get(wrap(t, s, p, teapot), c.target, edit).Code, "absent[%d]", i)
			}
		})
	}
}
