package client

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// t0 is when the canned answers arrive; 1764000000 is their Unix time.
var t0 = time.Unix(1764000000, 0).UTC()

// header makes a header of alternating names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// shown is a RateLimit without the parts that every row of a table would repeat.
type shown struct {
	text   string // as String gives it
	policy string
}

func TestParseRateLimitDialects(t *testing.T) {
	const nothing = "limit=unknown remaining=unknown reset=unknown retry-after=unknown"
	for _, tc := range []struct {
		name string
		h    http.Header
		want shown
	}{
		{"no header", header(), shown{text: nothing}},
		{"weir, 200", header("X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "19", "X-RateLimit-Reset", "1764000042"),
			shown{text: "limit=20 remaining=19 reset=42s retry-after=unknown"}},
		{"weir, 429", header("X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1764000042", "Retry-After", "42"),
			shown{text: "limit=20 remaining=0 reset=42s retry-after=42s"}},
		{"weir, seconds left", header("X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "19", "X-RateLimit-Reset", "42"),
			shown{text: "limit=20 remaining=19 reset=42s retry-after=unknown"}},
		{"weir, IETF fields", header("RateLimit-Policy", `"default";q=100;w=60`, "RateLimit", `"default";r=97;t=42`),
			shown{"limit=100 remaining=97 reset=42s retry-after=unknown", "default"}},
		{"weir, both dialects", header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "97", "X-RateLimit-Reset", "1764000042",
			"RateLimit-Policy", `"default";q=100;w=60`, "RateLimit", `"default";r=97;t=42`),
			shown{"limit=100 remaining=97 reset=42s retry-after=unknown", "default"}},
		{"weir, 503", header("Retry-After", "1"), shown{text: "limit=unknown remaining=unknown reset=unknown retry-after=1s"}},

		{"GitHub", header("x-ratelimit-limit", "5000", "x-ratelimit-remaining", "4987", "x-ratelimit-reset", "1764002700",
			"x-ratelimit-used", "13", "x-ratelimit-resource", "core"),
			shown{text: "limit=5000 remaining=4987 reset=45m0s retry-after=unknown"}},
		{"GitHub, secondary limit", header("x-ratelimit-limit", "5000", "x-ratelimit-remaining", "4900", "x-ratelimit-reset", "1764002700", "retry-after", "60"),
			shown{text: "limit=5000 remaining=4900 reset=45m0s retry-after=1m0s"}},
		{"Cloudflare", header("Ratelimit", `"default";r=50;t=30`, "Ratelimit-Policy", `"burst";q=100;w=60`),
			shown{"limit=unknown remaining=50 reset=30s retry-after=unknown", "default"}},
		{"Twitter", header("x-rate-limit-limit", "900", "x-rate-limit-remaining", "899", "x-rate-limit-reset", "1764000900"),
			shown{text: "limit=900 remaining=899 reset=15m0s retry-after=unknown"}},
		{"Okta", header("X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", "1764000051"),
			shown{text: "limit=600 remaining=0 reset=51s retry-after=unknown"}},
		{"Shopify", header("X-Shopify-Shop-Api-Call-Limit", "32/40"),
			shown{text: "limit=40 remaining=8 reset=unknown retry-after=unknown"}},
		{"Shopify, 429", header("X-Shopify-Shop-Api-Call-Limit", "40/40", "Retry-After", "2.0"),
			shown{text: "limit=40 remaining=0 reset=unknown retry-after=2s"}},
		{"Stripe, 429", header("Stripe-Rate-Limited-Reason", "global-rate", "Request-Id", "req_1"), shown{text: nothing}},
		{"GitLab, Unix time in the draft's name", header("RateLimit-Limit", "2000", "RateLimit-Remaining", "1999", "RateLimit-Reset", "1764000060"),
			shown{text: "limit=2000 remaining=1999 reset=1m0s retry-after=unknown"}},
		{"Discord, fractions", header("X-RateLimit-Limit", "5", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1764000001.25", "X-RateLimit-Reset-After", "1.251"),
			shown{text: "limit=5 remaining=0 reset=1.251s retry-after=unknown"}},
		{"Reddit, whole numbers with a point", header("x-ratelimit-remaining", "598.0", "x-ratelimit-used", "2", "x-ratelimit-reset", "213"),
			shown{text: "limit=unknown remaining=598 reset=3m33s retry-after=unknown"}},
		{"Docker Hub", header("ratelimit-limit", "100;w=21600", "ratelimit-remaining", "76;w=21600"),
			shown{text: "limit=100 remaining=76 reset=unknown retry-after=unknown"}},
		{"Envoy", header("x-ratelimit-limit", `10, 10;w=1;name="a", 500;w=60`, "x-ratelimit-remaining", "9", "x-ratelimit-reset", "1"),
			shown{text: "limit=10 remaining=9 reset=1s retry-after=unknown"}},
		{"draft 03", header("RateLimit-Limit", "100, 100;w=60", "RateLimit-Remaining", "50", "RateLimit-Reset", "5"),
			shown{text: "limit=100 remaining=50 reset=5s retry-after=unknown"}},
		{"draft 07", header("RateLimit", "limit=100, remaining=50, reset=5", "RateLimit-Policy", "100;w=60"),
			shown{text: "limit=100 remaining=50 reset=5s retry-after=unknown"}},
		{"draft 08, names without quotes", header("RateLimit", "burst;r=5;t=30", "RateLimit-Policy", "burst;q=10;w=60"),
			shown{"limit=10 remaining=5 reset=30s retry-after=unknown", "burst"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ParseRateLimit(tc.h, t0)
			assert.Equal(t, tc.want, shown{got.String(), got.Policy}, "%v", tc.h)
			assert.Equal(t, t0, got.Received)
		})
	}
}

func TestParseRateLimitIETF(t *testing.T) {
	for _, tc := range []struct {
		name, limit, policy string
		want                string // limit remaining reset, ? for unknown
		named               string
	}{
		{"the tightest of several", `"burst";r=9;t=2, "daily";r=3;t=3600`, `"burst";q=10;w=5, "daily";q=1000;w=86400`, "1000 3 1h0m0s", "daily"},
		{"both spent: the longer", `"burst";r=0;t=2,"daily";r=0;t=3600`, `"burst";q=10,"daily";q=1000`, "1000 0 1h0m0s", "daily"},
		{"bytes are no requests", `"in";r=4;t=2, "n";r=7;t=60`, `"in";q=65535;qu="content-bytes", "n";q=10;qu="requests"`, "10 7 1m0s", "n"},
		{"only bytes", `"in";r=4;t=2`, `"in";q=65535;qu="content-bytes"`, "? ? ?", ""},
		{"unit beside the state", `default;r=300000000;t=60;qu=bytes`, ``, "? ? ?", ""},
		{"no reset", `"default";r=999;pk=:dHJpYWw=:`, `"default";q=1000;pk=:dHJpYWw=:`, "1000 999 ?", "default"},
		{"partitions", `"u";r=5;t=9;pk=:Yg==:`, `"u";q=10;pk=:YQ==:, "u";q=20;pk=:Yg==:`, "20 5 9s", "u"},
		{"ambiguous partition", `"u";r=5;t=9`, `"u";q=10;pk=:YQ==:, "u";q=20;pk=:Yg==:`, "? 5 9s", "u"},
		{"policy only", ``, `"default";q=100;w=60`, "100 ? ?", "default"},
		{"old policy only", ``, `100;w=60`, "100 ? ?", ""},
		{"policies only", ``, `"a";q=100, "b";q=5`, "? ? ?", ""},
		{"unknown parameters", `"d";r=5;t=9;x-a=1.5;b;c="q;r=1";d=?0;e=@17;f=%"a%20b";g=-3`, `"d";q=7;x=tok/en:1`, "7 5 9s", "d"},
		{"escapes", `"a\"b\\c";r=5;t=9`, `"a\"b\\c";q=7`, "7 5 9s", `a"b\c`},
		{"the last of two counts", `"d";r=1;r=5;t=9`, ``, "? 5 9s", "d"},
		{"spaces and tabs", " \"a\"; r=5; t=9 \t,\t \"b\";r=6;t=1 ", ``, "? 5 9s", "a"},
		{"negative", `"d";r=-1;t=9`, ``, "? ? ?", ""},
		{"negative time", `"d";r=1;t=-9`, ``, "? ? ?", ""},
		{"a year and more", `"d";r=1;t=99999999`, ``, "? 1 ?", "d"},
		{"no integer", `"d";r=1.0;t=9`, ``, "? ? ?", ""},
		{"a string for a number", `"d";r="1";t=9`, ``, "? ? ?", ""},
		{"no remaining", `"d";t=9`, ``, "? ? ?", ""},
		{"too many digits", `"d";r=1234567890123456;t=9`, ``, "? ? ?", ""},
		{"unclosed", `"d;r=1;t=9`, ``, "? ? ?", ""},
		{"trailing comma", `"d";r=1;t=9,`, ``, "? ? ?", ""},
		{"two commas", `"d";r=1;t=9,,"e";r=2`, ``, "? ? ?", ""},
		{"no comma", `"d";r=1 "e";r=2`, ``, "? ? ?", ""},
		{"inner list", `("d");r=1;t=9`, ``, "? ? ?", ""},
		{"upper case key", `"d";R=1;t=9`, ``, "? ? ?", ""},
		{"not ASCII", `"dé";r=1;t=9`, ``, "? ? ?", ""},
		{"broken policy", `"d";r=1;t=9`, `"d";q=`, "? 1 9s", "d"},
		{"dictionary with junk", `limit=100, remaining=50, reset=5;`, ``, "? ? ?", ""},
		{"dictionary, negative", `limit=100, remaining=-1, reset=5`, ``, "100 ? 5s", ""},
		{"dictionary, decimal", `limit=100, remaining=5.0, reset=5`, ``, "100 ? 5s", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			if tc.limit != "" {
				h.Set("RateLimit", tc.limit)
			}
			if tc.policy != "" {
				h.Set("RateLimit-Policy", tc.policy)
			}
			got := ParseRateLimit(h, t0)
			assert.Equal(t, tc.want, brief(got), "%v", h)
			assert.Equal(t, tc.named, got.Policy)
		})
	}
}

// brief is limit, remaining and reset with ? for what is unknown.
func brief(r RateLimit) string {
	s := [3]string{"?", "?", "?"}
	for i, v := range []struct {
		known bool
		n     int64
	}{{r.LimitKnown, r.Limit}, {r.RemainingKnown, r.Remaining}} {
		if v.known {
			s[i] = strconv.FormatInt(v.n, 10)
		}
	}
	if r.ResetKnown {
		s[2] = r.ResetAfter.String()
	}
	return s[0] + " " + s[1] + " " + s[2]
}

func TestParseRateLimitSeveralLines(t *testing.T) {
	h := header("RateLimit", `"a";r=5;t=9`, "RateLimit", `"b";r=2;t=30`, "RateLimit-Policy", `"a";q=10`, "RateLimit-Policy", `"b";q=20`)
	assert.Equal(t, "20 2 30s", brief(ParseRateLimit(h, t0)), "lines of a list are one list")

	h = header("RateLimit", `"a";r=5;t=9`, "RateLimit", `"b";r=`)
	assert.Equal(t, "? ? ?", brief(ParseRateLimit(h, t0)), "one broken line breaks the field")

	h = header("X-RateLimit-Remaining", "5", "X-RateLimit-Remaining", "5", "X-RateLimit-Limit", "10", "X-RateLimit-Limit", "20")
	assert.Equal(t, "? 5 ?", brief(ParseRateLimit(h, t0)), "repeated is fine, contradicting is not")

	h = header("X-RateLimit-Limit", "10", "X-RateLimit-Remaining", "3", "RateLimit", `"up";r=90;t=9`, "RateLimit-Policy", `"up";q=100`)
	assert.Equal(t, "10 3 ?", brief(ParseRateLimit(h, t0)), "the tightest whole, nothing mixed in")
}

func TestParseRateLimitMalformed(t *testing.T) {
	for _, v := range []string{"", " ", "-1", "+1", "1e3", "0x10", "1_000", "٣", "NaN", "unlimited", "5.5", "1.", ".5", "5,6", "5, 6",
		"1234567890123456", "9223372036854775808", "5 6", `"5"`, "5;", "5;w=x", "5, 6;x=1", "5\x00"} {
		for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-Rate-Limit-Limit", "RateLimit-Remaining"} {
			assert.Equal(t, "? ? ?", brief(ParseRateLimit(header(name, v, "X-RateLimit-Reset", "42"), t0)), "%s: %q", name, v)
		}
	}
	for _, v := range []string{"", "40", "/", "1/", "/40", "41/40", "-1/40", "1/40/2", "a/b", "1.5/40"} {
		assert.Equal(t, "? ? ?", brief(ParseRateLimit(header("X-Shopify-Shop-Api-Call-Limit", v), t0)), "%q", v)
	}
}

func TestParseRateLimitReset(t *testing.T) {
	const ahead, behind = "Mon, 24 Nov 2025 17:00:00 GMT", "Mon, 24 Nov 2025 15:00:00 GMT" // t0 is 16:00:00
	for _, tc := range []struct{ name, reset, date, want string }{
		{"seconds", "42", "", "42s"},
		{"seconds, whatever the date", "42", ahead, "42s"},
		{"zero", "0", "", "0s"},
		{"fraction, rounded up", "0.0000000001", "", "1ns"},
		{"a year", "31622400", "", "8784h0m0s"},
		{"between the meanings", "31622401", "", "?"},
		{"Unix", "1764000042", "", "42s"},
		{"Unix, fraction", "1764000042.5", "", "42.5s"},
		{"Unix, server's clock ahead", "1764003642", ahead, "42s"},
		{"Unix, server's clock behind", "1763996442", behind, "42s"},
		{"Unix, date malformed", "1764000042", "yesterday", "42s"},
		{"Unix, date absurd", "1764000042", "Thu, 01 Jan 1970 00:00:00 GMT", "42s"},
		{"Unix, just past", "1763999990", "", "0s"},
		{"Unix, long past", "1763900000", "", "?"},
		{"Unix, far ahead", "1864000042", "", "?"},
		{"milliseconds", "1764000042000", "", "?"},
		{"microseconds", "1764000042000000", "", "?"},
		{"date", "Mon, 24 Nov 2025 16:00:42 GMT", "", "?"},
		{"ISO date", "2025-11-24T16:00:42Z", "", "?"},
		{"Go's duration", "42s", "", "?"},
		{"negative", "-5", "", "?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := header("X-RateLimit-Remaining", "7", "X-RateLimit-Reset", tc.reset)
			if tc.date != "" {
				h.Set("Date", tc.date)
			}
			got := ParseRateLimit(h, t0)
			assert.Equal(t, "? 7 "+tc.want, brief(got))
			assert.Equal(t, tc.want == "?", got.Reset.IsZero())
		})
	}
	got := ParseRateLimit(header("X-RateLimit-Remaining", "7", "X-RateLimit-Reset", "1764003642", "Date", ahead), t0)
	assert.EqualValues(t, 1764003642, got.Reset.Unix(), "a point in time stays what the server said")
	got = ParseRateLimit(header("X-RateLimit-Remaining", "7", "X-RateLimit-Reset", "42", "Date", ahead), t0)
	assert.Equal(t, t0.Add(42*time.Second), got.Reset, "seconds count from the arrival")
	assert.Equal(t, "? ? ?", brief(ParseRateLimit(header("X-RateLimit-Reset", "42"), t0)), "a reset alone is no budget")
}

func TestParseRateLimitRetryAfter(t *testing.T) {
	for _, tc := range []struct{ value, date, want string }{
		{"42", "", "42s"},
		{" 42 ", "", "42s"},
		{"0", "", "0s"},
		{"2.5", "", "2.5s"},
		{"31622400", "", "8784h0m0s"},
		{"31622400.1", "", "?"},
		{"1764000042", "", "?"}, // a Unix time in the wrong place
		{"99999999999999999999", "", "?"},
		{"Mon, 24 Nov 2025 16:00:42 GMT", "", "42s"},
		{"Monday, 24-Nov-25 16:00:42 GMT", "", "42s"},
		{"Mon Nov 24 16:00:42 2025", "", "42s"},
		{"Mon, 24 Nov 2025 17:00:42 GMT", "Mon, 24 Nov 2025 17:00:00 GMT", "42s"},
		{"Mon, 24 Nov 2025 15:00:42 GMT", "Mon, 24 Nov 2025 15:00:00 GMT", "42s"},
		{"Mon, 24 Nov 2025 15:00:42 GMT", "", "0s"},
		{"Mon, 24 Nov 2055 15:00:42 GMT", "", "?"},
		{"", "", "?"},
		{"-1", "", "?"},
		{"soon", "", "?"},
		{"42s", "", "?"},
		{"1e3", "", "?"},
		{"60, 60", "", "?"},
	} {
		h := header("Retry-After", tc.value)
		if tc.date != "" {
			h.Set("Date", tc.date)
		}
		got := ParseRateLimit(h, t0)
		want := "limit=unknown remaining=unknown reset=unknown retry-after=" + tc.want
		if tc.want == "?" {
			want = RateLimit{}.String()
			assert.Zero(t, got.RetryAfter, "%q", tc.value)
		}
		assert.Equal(t, want, got.String(), "%q at %q", tc.value, tc.date)
	}
	got := ParseRateLimit(header("Retry-After", "1", "Retry-After", "2"), t0)
	assert.False(t, got.RetryAfterKnown, "two waits are none")
}

func TestParseRateLimitFromCache(t *testing.T) {
	h := header("X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "19", "X-RateLimit-Reset", "42", "Age", "17", "Retry-After", "3")
	assert.Equal(t, "limit=unknown remaining=unknown reset=unknown retry-after=3s", ParseRateLimit(h, t0).String())
	h.Set("Age", "0")
	assert.Equal(t, "20 19 42s", brief(ParseRateLimit(h, t0)))
}
