package policyfile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// good is a line that makes a policy valid.
const good = "default: [{name: a, quota: 1, window: 1s}]\n"

// Every mistake is told with line, field and value, and wraps ErrPolicy. The schema
// finds it as well, unless it is about more than the form: then it finds nothing.
func TestMistakes(t *testing.T) {
	rule := func(fields string) string {
		return "default:\n  - name: a\n    quota: 5\n    window: 1s\n" + fields
	}
	for _, c := range []struct {
		name, text, want string
		bySchema         bool
	}{
		{"empty", "", "the file is empty", true},
		{"comment only", "# nothing\n", "the file is empty", true},
		{"a scalar", "hello", `1: "hello" is not a mapping`, true},
		{"a list", "- a", "1: is not a mapping", true},
		{"syntax", "default:\n  - {name: a\n\n", "4: did not find expected ',' or '}' (while parsing a flow mapping of line 2)", false},
		{"two documents", good + "---\n" + good, "3: there is more than one document", false},
		{"no rules", "problem: true\n", "1: default: is empty, and no route has a rule", false},
		{"unknown field", good + "limits: 5\n", "2: limits: 5 is for an unknown field; known here: $schema, address, allow, always", true},
		{"unknown field of a rule", rule("    qouta: 6\n"), "5: default[0].qouta: 6 is for an unknown field", true},
		{"field twice", rule("    quota: 6\n"), "5: default[0].quota: is there twice", false},
		{"null", "default: ~\n", "1: default: ", true},
		{"empty list", "default: []\n", "1: default: is empty", true},
		{"alias", "default: &x [{name: a, quota: 1, window: 1s}]\nalways: *x\n", "1: default: &x is an anchor", false},
		{"tag", rule("    cost: !!int 2\n"), "5: default[0].cost: !!int is a tag", false},
		{"merge", rule("    <<: {cost: 2}\n"), "5: default[0]: << is not a field's name", false},
		{"no name", "default: [{quota: 1, window: 1s}]\n", "1: default[0].name: is missing", true},
		{"no quota", "default: [{name: a, window: 1s}]\n", "1: default[0].quota: is missing", true},
		{"no window", "default: [{name: a, quota: 1}]\n", "1: default[0].window: is missing", true},
		{"quota beyond all", "default:\n  - name: a\n    window: 1s\n    quota: 2147483648\n", "4: default[0].quota: 2147483648 is not within 0 to 2147483647", true},
		{"quota negative", "default:\n  - {name: a, window: 1s, quota: -3}\n", "2: default[0].quota: -3 is not within 0 to", true},
		{"quota huge", "default: [{name: a, window: 1s, quota: 99999999999999999999}]\n", `1: default[0].quota: 99999999999999999999 is not a whole number`, true},
		{"quota text", "default: [{name: a, window: 1s, quota: many}]\n", `1: default[0].quota: "many" is not a whole number`, true},
		{"quota broken", "default: [{name: a, window: 1s, quota: 1.5}]\n", "1: default[0].quota: 1.5 is not a whole number", true},
		{"window number", "default: [{name: a, quota: 1, window: 60}]\n", "1: default[0].window: 60 is not a duration such as 90s, 5m, 24h or 7d", true},
		{"window unit", "default: [{name: a, quota: 1, window: 1 week}]\n", `1: default[0].window: "1 week" is not a duration`, true},
		{"window short", "default: [{name: a, quota: 1, window: 10us}]\n", `1: default[0].window: "10us" is not within 1ms`, false},
		{"burst", rule("    burst: 3\n"), "5: default[0].burst: 3 is only for token-bucket", false},
		{"algorithm", rule("    algorithm: magic\n"), `5: default[0].algorithm: "magic" is not one of fixed-window`, true},
		{"split", rule("    split: half\n"), `5: default[0].split: "half" is not one of`, true},
		{"outage", rule("    outage: ignore\n"), `5: default[0].outage: "ignore" is not one of closed, local, open`, true},
		{"absent", rule("    absent: maybe\n"), `5: default[0].absent: "maybe" is not one of deny, shared, skip`, true},
		{"cost 0", rule("    cost: 0\n"), "5: default[0].cost: 0 is not at least 1", true},
		{"cost negative", rule("    cost: -1\n"), "5: default[0].cost: -1 is not at least 1", true},
		{"cost too large", rule("    cost: 6\n"), "5: default[0].cost: 6 can never fit into a limit of 5", false},
		{"cost unknown", rule("    cost: {custom: weight}\n"), `5: default[0].cost.custom: "weight" is not among the costs`, false},
		{"limit unknown", rule("    limit: {custom: record}\n"), `5: default[0].limit.custom: "record" is not among the limits`, false},
		{"limit a number", rule("    limit: 5\n"), "5: default[0].limit: 5 is not a mapping", true},
		{"rate and quota", rule("    rate: 5/s\n"), `5: default[0].rate: "5/s" excludes quota and window`, false},
		{"rate of nothing", "default:\n  - {name: a, rate: m}\n", `2: default[0].rate: "m" is not a rate such as 5/s`, true},
		{"rate no text", "default:\n  - {name: a, rate: 5}\n", `2: default[0].rate: 5 is not a rate`, true},
		{"rate per what", "default:\n  - {name: a, rate: 5/}\n", `2: default[0].rate: "5/" is not a rate`, true},
		{"rate per a half", "default:\n  - {name: a, rate: 5/.5s}\n", `2: default[0].rate: "5/.5s" is not a rate`, true},
		{"rate no decimal", "default:\n  - {name: a, rate: 05/s}\n", `2: default[0].rate: "05/s" is not a rate`, true},
		{"rate too long", "default:\n  - {name: a, rate: 5/53w}\n", `2: default[0].rate: "5/53w" is not within 1ms to`, false},
		{"rate too much", "default:\n  - {name: a, rate: 2147483648/s}\n", `2: default[0].rate: "2147483648/s" is not within 0 to 2147483647`, false},
		{"align a word", "default:\n  - {name: a, quota: 5, align: year}\n", `2: default[0].align: "year" is not one of day, month, week`, true},
		{"align and rate", "default:\n  - {name: a, rate: 5/d, align: day}\n", `2: default[0].rate: "5/d" is not for a limit that is aligned`, false},
		{"align no quota", "default:\n  - {name: a, align: day}\n", `2: default[0].quota: is missing`, true},
		{"align sliding", "default:\n  - {name: a, quota: 5, align: day, algorithm: sliding-window}\n", `2: default[0].algorithm: sliding-window is not for a limit`, false},
		{"zone without align", rule("    zone: UTC\n"), `5: default[0].zone: "UTC" is only for a limit that is aligned`, false},
		{"zone of nobody", "default:\n  - name: a\n    quota: 5\n    align: day\n    zone: Mars\n", `5: default[0].zone: "Mars" is not a time zone`, false},
		{"plan align", "default:\n  - name: a\n    quota: 5\n    align: day\n    plan: {header: X-Plan}\n    plans: {pro: {quota: 9, align: month}}\n", `6: default[0].plans.pro.align: month is not the rule's`, false},
		{"plan rate", rule("    plan: {header: X-Plan}\n    plans:\n      pro:\n        rate: 9/m\n"), `8: default[0].plans.pro.rate: "9/m" is not the rule's`, false},
		{"count", rule("    count: some\n"), `5: default[0].count: "some" is not one of`, true},
		{"status", rule("    count: {statuses: [42]}\n"), "5: default[0].count.statuses[0]: 42 is not a status", true},
		{"ban of nothing", rule("    ban: {after: 0, for: 0s}\n"), "5: default[0].ban.after: 0 is not at least 1", true},
		{"ban never", rule("    ban: {after: 0, for: 1m}\n"), "5: default[0].ban.after: 0 is not within 1 to", true},
		{"ban for nothing", rule("    ban: {after: 3}\n"), "5: default[0].ban.for: is missing", true},
		{"ban for nothing at all", rule("    ban: {after: 3, for: 1ns}\n"), `5: default[0].ban.for: "1ns" is not within 1ms`, false},
		{"ban max", rule("    ban:\n      after: 3\n      for: 1h\n      max: 1m\n"), `8: default[0].ban.max: "1m" is shorter than the first ban`, false},
		{"ban max far", rule("    ban: {after: 3, for: 1ms, max: 1d}\n"), `5: default[0].ban.max: "1d" is too long after a first ban of 1ms`, false},
		{"shadow", rule("    shadow: maybe\n"), `5: default[0].shadow: "maybe" is neither true nor false`, true},
		{"key word", rule("    key: ip\n"), `5: default[0].key: "ip" is not one of bearer, client-ip`, true},
		{"key kind", rule("    key: {query: x}\n"), `5: default[0].key.query: "x" is for an unknown field`, true},
		{"key kinds", rule("    key: {header: x, cookie: y}\n"), "5: default[0].key: is not exactly one kind", true},
		{"key header", rule("    key: {header: 'a b'}\n"), `5: default[0].key: header a b: "a b" is not a header name`, false},
		{"key claim", rule("    key: {claim: sub}\n"), "5: default[0].key: claim sub: the policy has no Claims", false},
		{"key path", rule("    key: {path: id}\n"), `5: default[0].key: path id: pattern "" has no wildcard`, false},
		{"key address", rule("    key:\n      client-ip:\n        hops: 99\n"), "7: default[0].key.client-ip.hops: 99 is not within 0 to 32", true},
		{"key custom", rule("    key: {custom: x}\n"), `5: default[0].key.custom: "x" is not among the keys`, false},
		{"key part", rule("    key:\n      first:\n        - bearer\n        - nobody\n"), `8: default[0].key.first[1]: "nobody" is not one of`, true},
		{"plans without plan", rule("    plans: {pro: {quota: 5}}\n"), "2: default[0].plan: is missing", false},
		{"plan without plans", rule("    plan: {header: X-Plan}\n"), "2: default[0].plans: is missing", false},
		{"plan quota", rule("    plan: {header: X-Plan}\n    plans:\n      pro:\n        quota: -1\n"), "8: default[0].plans.pro.quota: -1 is not within 0 to", true},
		{"plan window", rule("    plan: {header: X-Plan}\n    plans:\n      pro:\n        quota: 9\n        window: 1m\n"), `9: default[0].plans.pro.window: "1m" is not the rule's`, false},
		{"plan algorithm", rule("    plan: {header: X-Plan}\n    plans: {pro: {quota: 9, algorithm: token-bucket}}\n"), "6: default[0].plans.pro.algorithm: token-bucket is not the rule's", false},
		{"two rules of one name", good + "always:\n  - {name: a, quota: 1, window: 1s}\n", `1: default[0].name: "a" is already the name of always[0]`, false},
		{"name", "default: [{name: café, quota: 1, window: 1s}]\n", "1: default[0].name: \"café\" is not printable ASCII", true},
		{"route without pattern", good + "routes:\n  - exempt: true\n", "3: routes[0].pattern: is missing", true},
		{"route without rules", good + "routes:\n  - pattern: /a\n", "3: routes[0].rules: is missing", false},
		{"exempt with rules", good + "routes:\n  - pattern: /a\n    exempt: true\n    rules: [{name: b, quota: 1, window: 1s}]\n", "4: routes[0].exempt: true excludes rules", false},
		{"pattern", good + "routes:\n  - pattern: 'GET a b'\n    exempt: true\n", `3: routes[0].pattern: "GET a b" is not a pattern`, false},
		{"method", good + "routes:\n  - pattern: get /a\n    exempt: true\n", `3: routes[0].pattern: "get /a" has a method in lower case`, false},
		{"pattern of several", good + "routes:\n  - exempt: true\n    pattern:\n      - /a\n      - /b/{\n", `6: routes[0].pattern[1]: "/b/{" is not a pattern`, false},
		{"pattern no text", good + "routes:\n  - exempt: true\n    pattern: [/a, 5]\n", "4: routes[0].pattern[1]: 5 is not a string", true},
		{"pattern twice", good + "routes:\n  - pattern: /a\n    exempt: true\n  - pattern: /a\n    exempt: true\n", `5: routes[1].pattern: "/a" is there twice`, false},
		{
			"conflict", good + "routes:\n  - pattern: /a/{x}\n    exempt: true\n  - pattern: /{y}/b\n    exempt: true\n",
			`5: routes[1].pattern: "/{y}/b" conflicts with pattern "/a/{x}"`, false,
		},
		{"headers", good + "headers: [x-rate]\n", `2: headers[0]: "x-rate" is not one of`, true},
		{"headers and none", good + "headers: [ietf, none]\n", `2: headers: none excludes every other form`, false},
		{"headers twice", good + "headers: [x-ratelimit, x-ratelimit-seconds]\n", `2: headers: x-ratelimit excludes x-ratelimit-seconds`, false},
		{"trusted", good + "address:\n  trusted:\n    - proxy.example\n", `4: address.trusted[0]: "proxy.example" is not a network such as 10.0.0.0/8`, true},
		{"trusted zone", good + "address: {trusted: ['fe80::1%eth0']}\n", `2: address.trusted[0]: "fe80::1%eth0" is not a network`, true},
		{"trusted behind unix", good + "address:\n  trusted:\n    - unix\n    - ::ffff:10.0.0.0/95\n", `5: address.trusted[1]: ::ffff:10.0.0.0/95 is not a network`, false},
		{"header and source", good + "address: {header: X-Real-IP, source: x-forwarded-for, trusted: [unix]}\n", `2: address.header: "X-Real-IP" excludes source`, false},
		{"header and hops", good + "address: {header: X-Real-IP, hops: 1}\n", `2: address.header: "X-Real-IP" excludes hops`, false},
		{"header that nobody vouches for", good + "address:\n  header: X-Real-IP\n", `3: address.header: "X-Real-IP" needs trusted networks`, false},
		{"header that is a list", good + "address: {header: x-forwarded-for, trusted: [unix]}\n", `2: address.header: "x-forwarded-for" is a list`, false},
		{"header's name", good + "address: {header: X Real IP, trusted: [unix]}\n", `2: address.header: "X Real IP" is not a header name`, true},
		{"no header's name", good + "address: {header: '', trusted: [unix]}\n", `2: address.header: "" is not a header name`, true},
		{"translators", good + "address: {translators: [10.0.0.0/8]}\n", "2: address.translators[0]: 10.0.0.0/8 is not an IPv6 network of 32", false},
		{"translators, a word", good + "address: {translators: [unix]}\n", `2: address.translators[0]: "unix" is not a network such as 2001:db8:64::/96`, true},
		{"deny nobody", good + "deny: []\n", "2: deny: is empty", true},
		{"deny a name", good + "deny:\n  - proxy.example\n", `3: deny[0]: "proxy.example" is not a network such as 10.0.0.0/8`, true},
		{"deny mapped", good + "deny: ['::ffff:10.0.0.0/95']\n", `2: deny[0]: ::ffff:10.0.0.0/95 is not a network`, false},
		{"deny without subjects", good + "deny: [{key: bearer}]\n", "2: deny[0].subjects: is missing", true},
		{"deny without key", good + "deny: [{subjects: [a]}]\n", "2: deny[0].key: is missing", true},
		{"deny nobody in particular", good + "deny: [{key: peer-ip, subjects: [a, '']}]\n", `2: deny[0].subjects[1]: "" is nobody`, true},
		{"deny a token", good + "deny: [{key: bearer, subjects: [s3cret]}]\n", `2: deny[0].subjects[0]: is not the SHA-256 of a token`, false},
		{"allow a claim", good + "allow:\n  - key: {claim: sub}\n    subjects: [ann]\n", "3: allow[0].key: claim sub: the policy has no Claims", false},
		{"deny's name", "default: [{name: deny, quota: 1, window: 1s}]\ndeny: [10.0.0.0/8]\n", `1: default[0].name: "deny" is already the name of Deny`, false},
		{"hops", good + "address: {hops: 33}\n", "2: address.hops: 33 is not within 0 to 32", true},
		{"source", good + "address: {source: x-real-ip}\n", `2: address.source: "x-real-ip" is not one of forwarded`, true},
		{"hops and trusted", good + "address: {hops: 1, trusted: [10.0.0.0/8]}\n", "2: address.hops: 1 excludes trusted networks", false},
		{"skip_methods lower case", good + "skip_methods: [OPTIONS, get]\n", `2: skip_methods[1]: "get" has lower case`, true},
		{"skip_methods star", good + "skip_methods:\n  - OPTIONS\n  - '*'\n", `4: skip_methods[1]: "*" is not a method`, true},
		{"namespace", good + "namespace: café\n", "2: namespace: \"café\" is not printable ASCII", true},
		{"prefix", good + "address: {ipv6Prefix: 129}\n", "2: address.ipv6Prefix: 129 is not within 1 to 128", true},
		{"depth", "default: " + strings.Repeat("[", 40), "1: it is nested more than 32 deep", false},
		{"size", "# " + strings.Repeat("x", 200<<10), "the file is larger than", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := policyfile.Parse([]byte(c.text), policyfile.Options{})
			require.ErrorIs(t, err, middleware.ErrPolicy)
			assert.Contains(t, err.Error(), "policyfile: "+c.want)
			if wrong, isYAML := bySchema(t, c.text); isYAML {
				assert.Equal(t, c.bySchema, len(wrong) > 0, "what the schema has against it: %v", wrong)
			}
		})
	}
}
