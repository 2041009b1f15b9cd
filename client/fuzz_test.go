package client

import (
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// checkSane asserts what holds of whatever a server may send: nothing negative or
// out of bounds, and nothing but zero where the flag says unknown.
func checkSane(t *testing.T, h http.Header, r RateLimit) {
	t.Helper()
	const countMax = 999_999_999_999_999
	for _, v := range []struct {
		name    string
		known   bool
		n, most int64
	}{
		{"limit", r.LimitKnown, r.Limit, countMax},
		{"remaining", r.RemainingKnown, r.Remaining, countMax},
		{"reset", r.ResetKnown, int64(r.ResetAfter), int64(farthest)},
		{"retry-after", r.RetryAfterKnown, int64(r.RetryAfter), int64(waitMax)},
	} {
		require.True(t, 0 <= v.n && v.n <= v.most, "%s is %d for %q", v.name, v.n, h)
		require.True(t, v.known || v.n == 0, "%s is unknown and %d for %q", v.name, v.n, h)
	}
	require.Equal(t, r.ResetKnown, !r.Reset.IsZero(), "%q", h)
}

// FuzzParseRateLimit throws whole headers at the parser.
func FuzzParseRateLimit(f *testing.F) {
	f.Add("20", "19", "1764000042", "42", `"default";q=100;w=60`, `"default";r=97;t=42`, "Mon, 24 Nov 2025 16:00:00 GMT", "32/40")
	f.Add("100, 100;w=60", "5.0", "0.5", "Mon, 24 Nov 2025 16:00:42 GMT", "100;w=60", "limit=100, remaining=50, reset=5", "", "/")
	f.Add("-1", "1e9", "99999999999999999", "-1", `"a";q=1;qu="bytes", b;q=2`, `"a";r=1;pk=:YQ==:, b;r=-2`, "x", "9/8")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, retry, quotas, states, date, calls string) {
		h := header("X-RateLimit-Limit", limit, "X-RateLimit-Remaining", remaining, "X-RateLimit-Reset", reset, "Retry-After", retry,
			"RateLimit-Policy", quotas, "RateLimit", states, "Date", date, "X-Shopify-Shop-Api-Call-Limit", calls)
		checkSane(t, h, ParseRateLimit(h, t0))
	})
}

// plain is how a number of requests may be written.
var plain = regexp.MustCompile(`^[ \t]*([0-9]{1,15})(\.0+)?[ \t]*$`)

// FuzzCount compares the number parser with a slow one that cannot be wrong.
func FuzzCount(f *testing.F) {
	for _, s := range []string{"0", "42", "007", "5.0", "5.5", "-1", "+1", "1e3", "999999999999999", "1000000000000000", " 7\t", "", "５", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, ",;") {
			t.Skip("a list has its own target")
		}
		r := ParseRateLimit(http.Header{"X-Ratelimit-Remaining": {s}}, t0)
		m := plain.FindStringSubmatch(s)
		require.Equal(t, m != nil, r.RemainingKnown, "%q", s)
		if m != nil {
			want, _ := new(big.Int).SetString(m[1], 10)
			require.Zero(t, want.Cmp(big.NewInt(r.Remaining)), "%q is %d", s, r.Remaining)
		}
	})
}

// FuzzReset compares the reading of a reset with the definition of its meanings in
// exact fractions.
func FuzzReset(f *testing.F) {
	for _, s := range []string{"42", "1764000042", "1764000042.25", "31622400", "31622401", "1795622400", "1795622401", "1763913600", "1763913599.9999999999", "0.0000000001"} {
		f.Add(s)
	}
	number := regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, s string) {
		r := ParseRateLimit(header("X-RateLimit-Remaining", "1", "X-RateLimit-Reset", s), t0)
		trimmed := strings.Trim(s, " \t")
		if !number.MatchString(trimmed) || len(trimmed) > 100 {
			require.False(t, r.ResetKnown && !number.MatchString(trimmed), "%q", s)
			return
		}
		v, _ := new(big.Rat).SetString(trimmed)
		nanos := new(big.Rat).Mul(v, big.NewRat(int64(time.Second), 1))
		after, rest := new(big.Int).QuoRem(nanos.Num(), nanos.Denom(), new(big.Int))
		if rest.Sign() > 0 {
			after.Add(after, big.NewInt(1))
		}
		if after.Cmp(big.NewInt(int64(farthest))) > 0 { // too long for seconds left
			after.Sub(after, big.NewInt(t0.UnixNano()))
		}
		known := after.Cmp(big.NewInt(int64(farthest))) <= 0 && after.Cmp(big.NewInt(-int64(latest))) >= 0
		require.Equal(t, known, r.ResetKnown, "%q", s)
		if known {
			require.Equal(t, max(after.Int64(), 0), int64(r.ResetAfter), "%q", s)
		}
	})
}

// FuzzStructured writes a list by the rules and expects to read the same.
func FuzzStructured(f *testing.F) {
	f.Add("default", int64(97), int64(42), int64(100), "second", int64(3), int64(7))
	f.Add(`a"b\c`, int64(0), int64(0), int64(0), "", int64(0), int64(1))
	f.Fuzz(func(t *testing.T, nameA string, r, reset, quota int64, nameB string, rB, resetB int64) {
		const most = 1_000_000_000_000_000
		ok := func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) < 0 }
		if !ok(nameA) || !ok(nameB) || nameA == nameB || max(len(nameA), len(nameB)) > fieldMax {
			t.Skip("not what a string may hold")
		}
		abs := func(n, below int64) int64 { return (n%below + below) % below }
		r, rB, quota = abs(r, most), abs(rB, most), abs(quota, most)
		reset, resetB = abs(reset, 31622401), abs(resetB, 31622401)
		quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
		num := func(n int64) string { return big.NewInt(n).String() }
		h := header("RateLimit", quote(nameA)+";r="+num(r)+";t="+num(reset)+", "+quote(nameB)+";r="+num(rB)+";t="+num(resetB),
			"RateLimit-Policy", quote(nameA)+";q="+num(quota))
		got := ParseRateLimit(h, t0)

		want := RateLimit{Policy: nameA, Limit: quota, LimitKnown: true, Remaining: r, ResetAfter: time.Duration(reset) * time.Second}
		if rB < r || rB == r && resetB > reset {
			want = RateLimit{Policy: nameB, Remaining: rB, ResetAfter: time.Duration(resetB) * time.Second}
		}
		want.RemainingKnown, want.ResetKnown, want.Received = true, true, t0
		want.Reset = t0.Add(want.ResetAfter)
		require.Equal(t, want, got, "%q", h)
	})
}

// FuzzParseList asserts that what the parser takes is made of the characters that
// RFC 9651 knows, and that reading does not depend on what was read before.
func FuzzParseList(f *testing.F) {
	for _, s := range []string{`"a";r=1, b;q=2;w`, `100;w=60`, `("a")`, `?1;a=@5`, `:YQ==:;x=%"a"`, `1.5`, `-3`, `"`, `a;`, `,`, " ", "0A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, ok := parseList(s, nil)
		more, okMore := parseList(s, []policy{{}})
		if !ok {
			require.Nil(t, list, "%q", s)
			return
		}
		require.LessOrEqual(t, len(list), policiesMax)
		require.Equal(t, len(list) < policiesMax, okMore, "%q", s)
		if okMore {
			require.Equal(t, append([]policy{{}}, list...), more, "%q", s)
		}
		for i := range len(s) {
			require.True(t, s[i] == '\t' || ' ' <= s[i] && s[i] <= '~', "%q", s)
		}
	})
}

// FuzzRefusal throws bodies at the reader of refusals.
func FuzzRefusal(f *testing.F) {
	f.Add([]byte(`{"message":"m","code":"c","requestId":"r"}`))
	f.Add([]byte(`{"code":88,"message":"m"}`))
	f.Add([]byte(`{"type":"about:blank","title":"t","detail":"` + strings.Repeat("é", 400) + `"}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := parseRefusal(body)
		for _, s := range []string{r.Code, r.RequestID, r.Message, r.Type, r.Detail, r.Title} {
			require.LessOrEqual(t, len(s), fieldMax)
			require.True(t, strings.ToValidUTF8(s, "") == s, "%q", s)
		}
	})
}

// FuzzRetryAfter compares the reading of seconds of any length with exact fractions.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"0", "42", "2.5", "31622400", "31622401", "3162240000", "3162240000.1", "999999999999999", "1000000000000000", "99999999999999999999", "00000000000000000042.5", "1.", ".5", "-1", "1e3", "60, 60", "Mon, 24 Nov 2025 16:00:42 GMT"} {
		f.Add(s)
	}
	number := regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, s string) {
		h := http.Header{"Retry-After": {s}}
		r := ParseRateLimit(h, t0)
		checkSane(t, h, r)
		trimmed := strings.Trim(s, " \t")
		if len(s) > valueMax || !number.MatchString(trimmed) {
			// A date, or copies of one value: what begins with a digit is neither unless it repeats.
			repeats := strings.Contains(trimmed, ", ") || !strings.ContainsAny(trimmed[:min(1, len(trimmed))], "0123456789")
			require.True(t, len(s) <= valueMax && repeats || !r.RetryAfterKnown, "%q", s)
			return
		}
		v, _ := new(big.Rat).SetString(trimmed)
		nanos := new(big.Rat).Mul(v, big.NewRat(int64(time.Second), 1))
		want, rest := new(big.Int).QuoRem(nanos.Num(), nanos.Denom(), new(big.Int))
		if rest.Sign() > 0 {
			want.Add(want, big.NewInt(1))
		}
		if want.Cmp(big.NewInt(int64(waitMax))) > 0 {
			want = big.NewInt(int64(waitMax))
		}
		require.True(t, r.RetryAfterKnown, "%q", s)
		require.Equal(t, want.Int64(), int64(r.RetryAfter), "%q", s)
	})
}

// FuzzLines asserts that how a header is spread over lines makes no difference, and that
// copies of a value are that value.
func FuzzLines(f *testing.F) {
	f.Add("5", "5", uint8(2))
	f.Add("5", "6", uint8(3))
	f.Add("", ", ", uint8(1))
	f.Add(`"a";r=5;t=9`, `"b";r=2;t=1`, uint8(9))
	f.Fuzz(func(t *testing.T, a, b string, copies uint8) {
		for _, name := range []string{"X-Ratelimit-Remaining", "X-Ratelimit-Limit", "Ratelimit", "Ratelimit-Policy", "Retry-After", "Date", "Age"} {
			apart := ParseRateLimit(http.Header{name: {a, b}, "Ratelimit-Limit": {"7"}}, t0)
			together := ParseRateLimit(http.Header{name: {a + ", " + b}, "Ratelimit-Limit": {"7"}}, t0)
			require.Equal(t, together, apart, "%s: %q, %q", name, a, b)
		}
		one := ParseRateLimit(http.Header{"X-Ratelimit-Remaining": {a}}, t0)
		n := int(copies%8) + 1
		if len(a)*n+2*n > valueMax || strings.ContainsAny(a, ",;") || a != strings.Trim(a, " \t") {
			return // too long together, or a list, or what a parser would have trimmed
		}
		require.Equal(t, one, ParseRateLimit(http.Header{"X-Ratelimit-Remaining": slicesRepeat(a, n)}, t0), "%d times %q", n, a)
	})
}
