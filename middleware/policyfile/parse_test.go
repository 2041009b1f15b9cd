package policyfile_test

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
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
          enterprise: {quota: 2000, window: 1m, algorithm: fixed-window, split: share}
        count: {statuses: [401, 403]}
        outage: open
  - pattern: ["/v1/agents/{id}", "example.com/agents/{id}"]
    rules:
      - {name: agent, quota: 5, window: 1s, key: {path: id}, count: failures, cost: {custom: size}}
      - {name: session, quota: 5, window: 1s, key: {cookie: sid}, count: all}
      - {name: region, quota: 5, window: 1s, key: {custom: region}, absent: shared, outage: local}
  - pattern: GET /.well-known/jwks.json
    exempt: true
address: {source: forwarded, trusted: [10.0.0.0/8, "2001:db8::1"], ipv6Prefix: 56}
headers: [x-ratelimit-seconds, ietf]
exposeHeaders: true
hideDegraded: true
keepHeaders: true
echoRequestId: true
problem: true
shadow: true
`

// options are what the file above needs of its program.
func options() policyfile.Options {
	return policyfile.Options{
		Base:  middleware.Policy{Claims: func(context.Context, string) (string, bool) { return "pro", true }},
		Keys:  map[string]middleware.Key{"region": middleware.Header("X-Region")},
		Costs: map[string]func(*http.Request) int64{"size": func(r *http.Request) int64 { return r.ContentLength }},
	}
}

func TestFull(t *testing.T) {
	p, err := policyfile.Parse([]byte(full), options())
	require.NoError(t, err)
	assert.Empty(t, fitsSchema(t, full))

	assert.Equal(t, limiter.Per(100, time.Minute), p.Default[0].Limit)
	assert.True(t, p.Always[0].Shadow)
	assert.Equal(t, "shared", p.Always[0].Key.String())
	token, user := p.Routes[0].Rules[0], p.Routes[0].Rules[1]
	assert.Equal(t, limiter.Limit{
		Quota: 20, Window: 90 * time.Second, Burst: 5, Algorithm: limiter.TokenBucket, Split: limiter.SplitQuorum,
	}, token.Limit)
	assert.Equal(t, "first-of(bearer, join(header X-Tenant, peer-ip))", token.Key.String())
	assert.Equal(t, middleware.AbsentDeny, token.Absent)
	assert.Equal(t, int64(2), token.Cost)
	assert.Equal(t, middleware.OutageClosed, token.Outage)
	assert.Equal(t, "claim plan", user.Plan.String())
	assert.Equal(t, map[string]limiter.Limit{
		"pro":        {Quota: 500, Window: time.Hour, Algorithm: limiter.SlidingWindow},
		"enterprise": {Quota: 2000, Window: time.Minute, Split: limiter.SplitShare},
	}, user.Plans)
	assert.True(t, user.Count(401))
	assert.False(t, user.Count(200))
	assert.Equal(t, middleware.OutageOpen, user.Outage)
	agents := p.Routes[1]
	assert.Equal(t, []string{"/v1/agents/{id}", "example.com/agents/{id}"}, agents.Patterns)
	assert.True(t, agents.Rules[0].Count(500))
	assert.False(t, agents.Rules[0].Count(302))
	assert.Equal(t, int64(7), agents.Rules[0].CostOf(&http.Request{ContentLength: 7}))
	assert.Nil(t, agents.Rules[1].Count)
	assert.Equal(t, "header X-Region", agents.Rules[2].Key.String())
	assert.Equal(t, middleware.Exempt("GET /.well-known/jwks.json").Patterns, p.Routes[2].Patterns)
	assert.True(t, p.Routes[2].Exempt)
	assert.Equal(t, middleware.Address{
		Source: middleware.Forwarded, IPv6Prefix: 56,
		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")},
	}, p.Address)
	assert.Equal(t, middleware.XRateLimitSeconds|middleware.IETF, p.Dialects)
	assert.True(t, p.ExposeHeaders && p.HideDegraded && p.KeepHeaders && p.EchoRequestID && p.Problem && p.Shadow)
	assert.NotNil(t, p.Claims)
}

func TestReference(t *testing.T) {
	p, err := policyfile.Parse(policyfile.Reference(), policyfile.Options{})
	require.NoError(t, err)
	assert.Empty(t, fitsSchema(t, string(policyfile.Reference())))
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
	assert.Equal(t, "default", p.Default[0].Name)
}

// good is a line that makes a policy valid.
const good = "default: [{name: a, quota: 1, window: 1s}]\n"

// Every mistake is told with line, field and value, and wraps ErrPolicy. The schema
// finds it as well, unless it is about more than the form.
func TestMistakes(t *testing.T) {
	rule := func(fields string) string {
		return "default:\n  - name: a\n    quota: 5\n    window: 1s\n" + fields
	}
	for _, c := range []struct {
		name, text, want string
		bySchema         bool
	}{
		{"empty", "", "the file is empty", false},
		{"comment only", "# nothing\n", "the file is empty", false},
		{"a scalar", "hello", `1: "hello" is not a mapping`, true},
		{"a list", "- a", "1: is not a mapping", true},
		{"syntax", "default:\n  - {name: a", "2: ", false},
		{"two documents", good + "---\n" + good, "3: there is more than one document", false},
		{"no rules", "problem: true\n", "1: default: is empty, and no route has a rule", false},
		{"unknown field", good + "limits: 5\n", "2: limits: is unknown; known here: $schema, address, always", true},
		{"unknown field of a rule", rule("    qouta: 6\n"), "5: default[0].qouta: is unknown", true},
		{"field twice", rule("    quota: 6\n"), "5: ", false},
		{"null", "default: ~\n", "1: default: ", true},
		{"empty list", "default: []\n", "1: default: is empty", true},
		{"alias", "default: &x [{name: a, quota: 1, window: 1s}]\nalways: *x\n", "1: default: &x", false},
		{"tag", rule("    cost: !!int 2\n"), "5: default[0].cost: ", false},
		{"merge", rule("    <<: {cost: 2}\n"), "5: default[0]: << is not a field's name", false},
		{"no name", "default: [{quota: 1, window: 1s}]\n", "1: default[0].name: is missing", true},
		{"no quota", "default: [{name: a, window: 1s}]\n", "1: default[0].quota: is missing", true},
		{"no window", "default: [{name: a, quota: 1}]\n", "1: default[0].window: is missing", true},
		{"quota 0", "default:\n  - name: a\n    window: 1s\n    quota: 0\n", "4: default[0].quota: 0 is not within 1 to", true},
		{"quota negative", "default:\n  - {name: a, window: 1s, quota: -3}\n", "2: default[0].quota: -3 is not within", true},
		{"quota huge", "default: [{name: a, window: 1s, quota: 99999999999999999999}]\n", `1: default[0].quota: "99999999999999999999" is not a whole number`, true},
		{"quota text", "default: [{name: a, window: 1s, quota: many}]\n", `1: default[0].quota: "many" is not a whole number`, true},
		{"quota broken", "default: [{name: a, window: 1s, quota: 1.5}]\n", "1: default[0].quota: 1.5 is not a whole number", true},
		{"window number", "default: [{name: a, quota: 1, window: 60}]\n", "1: default[0].window: 60 is not a string", true},
		{"window unit", "default: [{name: a, quota: 1, window: 1 week}]\n", `1: default[0].window: "1 week" is not a duration`, true},
		{"window short", "default: [{name: a, quota: 1, window: 10us}]\n", "1: default[0].window: 10µs is not within 1ms", false},
		{"burst", rule("    burst: 3\n"), "5: default[0].burst: 3 is only for TokenBucket", false},
		{"algorithm", rule("    algorithm: magic\n"), `5: default[0].algorithm: "magic" is not one of fixed-window`, true},
		{"split", rule("    split: half\n"), `5: default[0].split: "half" is not one of`, true},
		{"outage", rule("    outage: ignore\n"), `5: default[0].outage: "ignore" is not one of closed, local, open`, true},
		{"absent", rule("    absent: skip\n"), `5: default[0].absent: "skip" is not one of deny, shared`, true},
		{"cost 0", rule("    cost: 0\n"), "5: default[0].cost: 0 is not at least 1", true},
		{"cost negative", rule("    cost: -1\n"), "5: default[0].cost: -1 is not at least 1", true},
		{"cost too large", rule("    cost: 6\n"), "5: default[0].cost: 6 can never fit into a limit of 5", false},
		{"cost unknown", rule("    cost: {custom: weight}\n"), `5: default[0].cost.custom: "weight" is not among the costs`, false},
		{"count", rule("    count: some\n"), `5: default[0].count: "some" is not one of`, true},
		{"status", rule("    count: {statuses: [42]}\n"), "5: default[0].count.statuses[0]: 42 is not a status", true},
		{"shadow", rule("    shadow: maybe\n"), `5: default[0].shadow: "maybe" is neither true nor false`, true},
		{"key word", rule("    key: ip\n"), `5: default[0].key: "ip" is not one of bearer, client-ip`, true},
		{"key kind", rule("    key: {query: x}\n"), "5: default[0].key.query: is unknown", true},
		{"key kinds", rule("    key: {header: x, cookie: y}\n"), "5: default[0].key: is not exactly one kind", true},
		{"key header", rule("    key: {header: 'a b'}\n"), `5: default[0].key: header a b: "a b" is not a header name`, false},
		{"key claim", rule("    key: {claim: sub}\n"), "5: default[0].key: claim sub: the policy has no Claims", false},
		{"key path", rule("    key: {path: id}\n"), `5: default[0].key: path id: pattern "" has no wildcard`, false},
		{"key custom", rule("    key: {custom: x}\n"), `5: default[0].key.custom: "x" is not among the keys`, false},
		{"key part", rule("    key:\n      first:\n        - bearer\n        - nobody\n"), `8: default[0].key.first[1]: "nobody" is not one of`, true},
		{"plans without plan", rule("    plans: {pro: {quota: 5}}\n"), "2: default[0].plan: is missing", false},
		{"plan without plans", rule("    plan: {header: X-Plan}\n"), "2: default[0].plans: is missing", false},
		{"plan quota", rule("    plan: {header: X-Plan}\n    plans:\n      pro:\n        quota: 0\n"), "8: default[0].plans.pro.quota: 0 is not within", true},
		{"two rules of one name", good + "always:\n  - {name: a, quota: 1, window: 1s}\n", `1: default[0].name: "a" is already the name of always[0]`, false},
		{"name", "default: [{name: café, quota: 1, window: 1s}]\n", "1: default[0].name: \"café\" is not printable ASCII", true},
		{"route without pattern", good + "routes:\n  - exempt: true\n", "3: routes[0].pattern: is missing", true},
		{"route without rules", good + "routes:\n  - pattern: /a\n", "3: routes[0].rules: is missing", false},
		{"exempt with rules", good + "routes:\n  - pattern: /a\n    exempt: true\n    rules: [{name: b, quota: 1, window: 1s}]\n", "4: routes[0].exempt: true excludes rules", false},
		{"pattern", good + "routes:\n  - pattern: 'GET a b'\n    exempt: true\n", `3: routes[0].pattern: "GET a b" is not a pattern`, false},
		{"method", good + "routes:\n  - pattern: get /a\n    exempt: true\n", `3: routes[0].pattern: "get /a" has a method in lower case`, false},
		{"pattern twice", good + "routes:\n  - pattern: /a\n    exempt: true\n  - pattern: /a\n    exempt: true\n", `5: routes[1].pattern: "/a" is there twice`, false},
		{
			"conflict", good + "routes:\n  - pattern: /a/{x}\n    exempt: true\n  - pattern: /{y}/b\n    exempt: true\n",
			`5: routes[1].pattern: "/{y}/b" conflicts with pattern "/a/{x}"`, false,
		},
		{"headers", good + "headers: [x-rate]\n", `2: headers[0]: "x-rate" is not one of`, true},
		{"headers twice", good + "headers: [x-ratelimit, x-ratelimit-seconds]\n", `2: headers: "x-ratelimit" excludes x-ratelimit-seconds`, false},
		{"trusted", good + "address:\n  trusted:\n    - proxy.example\n", `4: address.trusted[0]: "proxy.example" is neither a network`, true},
		{"hops and trusted", good + "address: {hops: 1, trusted: [10.0.0.0/8]}\n", "2: address.hops: 1 excludes trusted networks", false},
		{"prefix", good + "address: {ipv6Prefix: 129}\n", "2: address.ipv6Prefix: 129 is not within 1 to 128", true},
		{"depth", "default: " + strings.Repeat("[", 40), "1: brackets are nested more than 32 deep", false},
		{"size", "# " + strings.Repeat("x", 200<<10), "the file is larger than", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := policyfile.Parse([]byte(c.text), policyfile.Options{})
			require.ErrorIs(t, err, middleware.ErrPolicy)
			assert.Contains(t, err.Error(), "policyfile: "+c.want)
			if c.bySchema {
				assert.NotEmpty(t, fitsSchema(t, c.text), "the schema accepts it")
			}
		})
	}
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
	_, err := policyfile.Parse([]byte(text), policyfile.Options{Base: middleware.Policy{Mux: mux}})
	assert.ErrorContains(t, err, `3: routes[0].pattern: "POST /v1/tokne" is unknown`)
}

// Whatever the text: a policy that middleware takes, or an error that wraps ErrPolicy.
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
	})
}
