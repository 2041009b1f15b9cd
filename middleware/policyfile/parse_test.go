package policyfile_test

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// full says everything that a file can say.
const full = `
$schema: ./policy.schema.json
default:
  - {name: default, quota: 100, window: 1m}
always:
  - {name: service, quota: 10000, window: 1s, key: shared, shadow: true}
routes:
  - pattern: "POST /v1/token"
    rules:
      - name: token
        quota: 20
        window: 1m30s
        algorithm: token-bucket
        burst: 5
        split: quorum
        lease: always
        key: {first: [bearer, {join: [{header: X-Tenant}, peer-ip]}]}
        absent: deny
        cost: 2
        outage: closed
      - name: user
        quota: 10
        window: 1h
        algorithm: sliding-window
        key: subject
        plan: {claim: plan}
        plans:
          pro: {quota: 500}
          enterprise: {quota: 2000, window: 60m, split: share}
        count: {statuses: [401, 403]}
        outage: open
  - pattern: ["/v1/agents/{id}", "example.com/agents/{id}"]
    rules:
      - {name: agent, quota: 5, window: 1s, key: {path: id}, count: failures, cost: {custom: size}}
      - {name: session, quota: 5, window: 1s, key: {cookie: sid}, count: all}
      - {name: edge, quota: 5, window: 1s, key: {client-ip: {hops: 2, ipv6Prefix: 48}}}
      - {name: cdn, quota: 5, window: 1s, key: {client-ip: {header: CF-Connecting-IP, trusted: [192.0.2.0/24]}}}
      - {name: region, quota: 5, window: 1s, key: {custom: region}, absent: shared, outage: local}
      - {name: api-key, quota: 5, window: 1s, key: {header: X-Api-Key}, absent: skip}
      - {name: daily, quota: 1000, align: day, zone: Europe/Berlin, plan: {claim: plan}, plans: {pro: {quota: 9000}}}
      - name: customer
        rate: 100/m
        limit: {custom: record}
        ban: {after: 20, for: 1m, max: 1d}
        plan: {claim: plan}
        plans: {pro: {rate: 1000/60s}}
  - pattern: GET /.well-known/jwks.json
    exempt: true
address: {source: forwarded, trusted: [unix, 10.0.0.0/8, "2001:db8::1"], ipv6Prefix: 56, translators: ["2001:db8:64::/96"]}
headers: [x-ratelimit-seconds, ietf]
exposeHeaders: true
hideDegraded: true
keepHeaders: true
echoRequestId: true
problem: true
shadow: true
skip_methods: [OPTIONS, TRACE]
deny: [198.51.100.0/24, {key: bearer, subjects: [E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855]}]
allow: [10.0.0.1, {key: {header: X-Api-Key}, subjects: [probe, "2"]}]
namespace: public API
`

// options are what the file above needs of its program.
func options() policyfile.Options {
	return policyfile.Options{
		Hooks: policyfile.Hooks{Claims: func(context.Context, string) (string, bool) { return "pro", true }},
		Keys:  map[string]middleware.Key{"region": middleware.Header("X-Region")},
		Limits: map[string]func(*http.Request) (limiter.Limit, bool){
			"record":   func(*http.Request) (limiter.Limit, bool) { return limiter.Limit{}, false },
			"customer": func(*http.Request) (limiter.Limit, bool) { return limiter.Limit{}, false },
		},
		Costs: map[string]func(*http.Request) int64{"size": func(r *http.Request) int64 { return r.ContentLength }},
	}
}

func TestFull(t *testing.T) {
	p, err := policyfile.Parse([]byte(full), options())
	require.NoError(t, err)
	assertFits(t, full)

	assert.Equal(t, limiter.Per(100, time.Minute), p.Default[0].Limit)
	assert.True(t, p.Always[0].Shadow)
	assert.Equal(t, "shared", p.Always[0].Key.String())
	token, user := p.Routes[0].Rules[0], p.Routes[0].Rules[1]
	assert.Equal(t, limiter.Limit{
		Quota: 20, Window: 90 * time.Second, Burst: 5, Algorithm: limiter.TokenBucket, Split: limiter.SplitQuorum, Lease: limiter.LeaseAlways,
	}, token.Limit)
	assert.Equal(t, "first-of(bearer, join(header X-Tenant, peer-ip))", token.Key.String())
	assert.Equal(t, middleware.AbsentDeny, token.Absent)
	assert.Equal(t, int64(2), token.Cost)
	assert.Equal(t, middleware.OutageClosed, token.Outage)
	assert.Equal(t, "claim plan", user.Plan.String())
	assert.Equal(t, map[string]limiter.Limit{
		"pro":        {Quota: 500, Window: time.Hour, Algorithm: limiter.SlidingWindow},
		"enterprise": {Quota: 2000, Window: time.Hour, Algorithm: limiter.SlidingWindow, Split: limiter.SplitShare},
	}, user.Plans)
	assert.True(t, user.Count(401))
	assert.False(t, user.Count(200))
	assert.Equal(t, middleware.OutageOpen, user.Outage)
	agents := p.Routes[1]
	assert.Equal(t, []string{"/v1/agents/{id}", "example.com/agents/{id}"}, agents.Patterns)
	require.Len(t, p.Deny, 2)
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, p.Deny[0].Networks)
	assert.Equal(t, []string{middleware.BearerSubject("")}, p.Deny[1].Subjects)
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, p.Allow[0].Networks)
	assert.Equal(t, []string{"probe", "2"}, p.Allow[1].Subjects)
	assert.Equal(t, limiter.Daily(1000, "Europe/Berlin"), agents.Rules[6].Limit)
	assert.Equal(t, limiter.Daily(9000, "Europe/Berlin"), agents.Rules[6].Plans["pro"])
	customer := agents.Rules[7]
	assert.Equal(t, limiter.Per(100, time.Minute), customer.Limit)
	assert.Equal(t, limiter.Per(1000, time.Minute), customer.Plans["pro"])
	assert.NotNil(t, customer.LimitOf)
	assert.Equal(t, middleware.Ban{After: 20, For: time.Minute, Max: 24 * time.Hour}, customer.Ban)
	assert.True(t, agents.Rules[0].Count(500))
	assert.False(t, agents.Rules[0].Count(302))
	assert.Equal(t, int64(7), agents.Rules[0].CostOf(&http.Request{ContentLength: 7}))
	assert.Nil(t, agents.Rules[1].Count)
	assert.Equal(t, "client-ip", agents.Rules[2].Key.String())
	assert.Equal(t, "header X-Region", agents.Rules[4].Key.String())
	assert.Equal(t, middleware.Exempt("GET /.well-known/jwks.json").Patterns, p.Routes[2].Patterns)
	assert.True(t, p.Routes[2].Exempt)
	assert.Equal(t, middleware.Address{
		Source: middleware.Forwarded, IPv6Prefix: 56, TrustUnix: true,
		Translators: []netip.Prefix{netip.MustParsePrefix("2001:db8:64::/96")},
		Trusted:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")},
	}, p.Address)
	assert.Equal(t, middleware.XRateLimitSeconds|middleware.IETF, p.Dialects)
	assert.True(t, p.ExposeHeaders && p.HideDegraded && p.KeepHeaders && p.EchoRequestID && p.Problem && p.Shadow)
	assert.NotNil(t, p.Claims)
	assert.Equal(t, middleware.AbsentSkip, agents.Rules[5].Absent)
	assert.Equal(t, []string{"OPTIONS", "TRACE"}, p.SkipMethods)
	assert.Equal(t, "public API", p.Namespace)
}

func TestReference(t *testing.T) {
	p, err := policyfile.Parse(policyfile.Reference(), policyfile.Options{})
	require.NoError(t, err)
	assertFits(t, string(policyfile.Reference()))
	want := middleware.ReferencePolicy()
	for i := range want.Routes {
		if want.Routes[i].Rules == nil {
			want.Routes[i].Rules = []middleware.Rule{} // an absent list reads as an empty one
		}
	}
	want.Always = []middleware.Rule{}
	assert.Equal(t, want, p)
}

func TestJSON(t *testing.T) {
	text := "{\n\t\"default\": [\n\t\t{\"name\": \"d\\u0065fault\", \"quota\": 1, \"window\": \"1s\"}\n\t]\n}\n"
	p, err := policyfile.Parse([]byte(text), policyfile.Options{})
	require.NoError(t, err)
	assertFits(t, text)
	assert.Equal(t, "default", p.Default[0].Name)
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte("default: []\n"), 0o600))
	_, err := policyfile.Load(path, policyfile.Options{})
	require.ErrorIs(t, err, middleware.ErrPolicy)
	assert.Contains(t, err.Error(), path+":1: default: is empty")

	_, err = policyfile.Load(path+".none", policyfile.Options{})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestUnknownPatternOfTheMux(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/token", func(http.ResponseWriter, *http.Request) {})
	text := good + "routes:\n  - pattern: POST /v1/tokne\n    exempt: true\n"
	_, err := policyfile.Parse([]byte(text), policyfile.Options{Hooks: policyfile.Hooks{Mux: mux}})
	assert.ErrorContains(t, err, `3: routes[0].pattern: "POST /v1/tokne" is unknown`)
}

// Whatever the text: a policy that middleware and the schema take, or an error that wraps
// ErrPolicy.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add(policyfile.Reference())
	f.Add([]byte(good))
	f.Add([]byte("default: [{name: a, quota: 0, window: 1s}]"))
	f.Add([]byte("a: &x [*x]\n? {\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policyfile.Parse(text, options())
		if err != nil {
			require.ErrorIs(t, err, middleware.ErrPolicy)
			return
		}
		require.NoError(t, p.Check())
		wrong, _ := bySchema(t, string(text))
		require.Empty(t, wrong, "the schema refuses what the parser takes")
	})
}
