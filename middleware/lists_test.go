package middleware_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
)

// networks is a Match of these.
func networks(all ...string) middleware.Match {
	var m middleware.Match
	for _, n := range all {
		m.Networks = append(m.Networks, netip.MustParsePrefix(n))
	}
	return m
}

// listing is a policy with both lists behind one proxy.
func listing() middleware.Policy {
	return middleware.Policy{
		Address: middleware.Address{Hops: 1},
		Default: []middleware.Rule{perMinute("default", 1)},
		Routes:  []middleware.Route{middleware.Exempt("/health")},
		Deny: []middleware.Match{
			networks("198.51.100.0/24", "192.0.2.7/32", "2001:db8:bad::/48"),
			{Key: middleware.Header("X-Api-Key"), Subjects: []string{"stolen"}},
		},
		Allow: []middleware.Match{
			networks("192.0.2.0/24", "::ffff:10.0.0.0/104", "2001:db8:7::1/128"),
			{Key: middleware.Bearer(), Subjects: []string{middleware.BearerSubject("probe")}},
		},
	}
}

func TestLists(t *testing.T) {
	m := engine(t, listing())
	h := m.Wrap(teapot)
	for _, c := range []struct {
		who, path string
		edit      func(*http.Request)
		want      int // of the second request
	}{
		{"203.0.113.9", "/", nil, 429},
		{"198.51.100.44", "/", nil, 403},
		{"198.51.100.44", "/health", nil, 403},
		{"192.0.2.7", "/", nil, 403}, // also allowed
		{"192.0.2.8", "/", nil, 418},
		{"10.255.0.1", "/", nil, 418},
		{"11.0.0.1", "/", nil, 429},
		{"2001:db8:bad:1::5", "/", nil, 403},
		{"2001:db8:7::1", "/", nil, 418},
		{"2001:db8:7::2", "/", nil, 429},
		{"64:ff9b::c633:6401", "/", nil, 403}, // 198.51.100.1 behind a translator
		{"64:ff9b::a00:1", "/", nil, 429},     // 10.0.0.1, or somebody who says so
		{"203.0.113.10", "/", set("X-Api-Key", "stolen"), 403},
		{"203.0.113.11", "/", set("X-Api-Key", "sound"), 429},
		{"203.0.113.12", "/", set("Authorization", "Bearer probe"), 418},
		{"198.51.100.45", "/", set("Authorization", "Bearer probe"), 403},
		{"unknown", "/", nil, 429},
	} {
		edits := []func(*http.Request){set("X-Forwarded-For", c.who)}
		if c.edit != nil {
			edits = append(edits, c.edit)
		}
		get(h, c.path, edits...)
		a := get(h, c.path, edits...)
		assert.Equal(t, c.want, a.Code, "%s %s", c.who, c.path)
		assert.Equal(t, c.want == 429, a.Header().Get("X-RateLimit-Limit") != "", "%s: limit headers", c.who)
		if c.want == 403 {
			assert.Contains(t, a.Body.String(), "RATE_LIMIT_BLOCKED")
		}
	}
}

// A denial is heard of like any other, under the rule "deny"; where the policy is a shadow, it has
// no effect, and all other rules are asked as well.
func TestDenyIsHeardOf(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		p := listing()
		var rules []string
		p.Shadow = shadow
		p.OnDecision = func(e middleware.Event) {
			rules = append(rules, e.Rule+" "+e.Verdict.String())
			assert.Equal(t, shadow, e.Shadow)
		}
		a := get(engine(t, p).Wrap(teapot), "/", set("X-Forwarded-For", "198.51.100.1"))
		if shadow {
			assert.Equal(t, http.StatusTeapot, a.Code)
			assert.Equal(t, []string{"deny blocked", "default admitted"}, rules)
		} else {
			assert.Equal(t, http.StatusForbidden, a.Code)
			assert.Equal(t, []string{"deny blocked"}, rules)
		}
	}
}

func TestListsAreChecked(t *testing.T) {
	for want, edit := range map[string]func(*middleware.Policy){
		"Deny[0]: is empty":             func(p *middleware.Policy) { p.Deny = []middleware.Match{{}} },
		`Allow[0].Networks[0]: invalid`: func(p *middleware.Policy) { p.Allow = []middleware.Match{{Networks: []netip.Prefix{{}}}} },
		`Deny[0].Subjects[0]: "" is no`: func(p *middleware.Policy) { p.Deny = []middleware.Match{{Subjects: []string{""}}} },
		"Allow[0].Key: claim sub: ": func(p *middleware.Policy) {
			p.Allow = []middleware.Match{{Key: middleware.Subject(), Subjects: []string{"a"}}}
		},
		`Default[0].Name: "deny" is al`: func(p *middleware.Policy) { p.Default[0].Name = "deny" },
	} {
		p := listing()
		edit(&p)
		require.ErrorContains(t, p.Check(), want)
	}
	p := listing()
	p.Default = nil
	require.NoError(t, p.Check(), "a policy may do nothing but deny")
}
