package middleware_test

import (
	"context"
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

// The key that a program makes is the one that a request spends from, for every kind of key.
func TestBudgetKey(t *testing.T) {
	long := strings.Repeat("k", 600)
	address := middleware.Address{Trusted: prefixes("10.0.0.0/8"), IPv6Prefix: 56}
	addr := func(s string) string { return address.Subject(netip.MustParseAddr(s)) }
	header := middleware.Header("A")
	for _, c := range []struct {
		name  string
		key   middleware.Key
		edit  func(*http.Request)
		parts []string
	}{
		{"a header", header, set("A", "k"), []string{"k"}},
		{"a long header", header, set("A", long), []string{long}},
		{"the longest that is used as it is", header, set("A", long[:512]), []string{long[:512]}},
		{"a byte more", header, set("A", long[:513]), []string{long[:513]}},
		{"no header", header, plain, nil},
		{"shared", middleware.Shared(), plain, nil},
		{"an address", middleware.ClientIPBy(address), from("192.0.2.9:1"), []string{addr("192.0.2.9")}},
		{"a mapped address", middleware.ClientIPBy(address), from("192.0.2.9:1"), []string{addr("::ffff:192.0.2.9")}},
		{"a network", middleware.ClientIPBy(address), from("[2001:db8:1:234::5]:1"), []string{addr("2001:db8:1:2ff::1%eth0")}},
		{"a translated address", middleware.ClientIPBy(address), from("192.0.2.9:1"), []string{addr("64:ff9b::192.0.2.9")}},
		{"a forwarded address", middleware.ClientIPBy(address), proxied("X-Forwarded-For", "1.1.1.1, 203.0.113.9"), []string{addr("203.0.113.9")}},
		{"what is unreadable", middleware.ClientIPBy(address), proxied("X-Forwarded-For", "x"), []string{"unreadable"}},
		{"a bearer token", middleware.Bearer(), set("Authorization", "bearer  t0k "), []string{middleware.BearerSubject("t0k")}},
		{"a claim", middleware.Subject(), claims(map[string]string{"sub": "u1"}), []string{"u1"}},
		{"a cookie", middleware.Cookie("sid"), set("Cookie", "sid=s"), []string{"s"}},
		{"a function", middleware.Func(func(*http.Request) (string, bool) { return "f", true }), plain, []string{"f"}},
		{"a join", middleware.Join(header, middleware.ClientIP()), set("A", "k"), []string{"k", "192.0.2.1"}},
		{"a join that could be another", middleware.Join(header, middleware.Header("B")), both(set("A", "1:k"), set("B", "2:")), []string{"1:k", "2:"}},
		{"a long join", middleware.Join(header, middleware.ClientIP()), set("A", long), []string{long, "192.0.2.1"}},
		{"a join with a token", middleware.Join(middleware.Bearer(), header), both(set("Authorization", "Bearer t"), set("A", "k")), []string{middleware.BearerSubject("t"), "k"}},
		{"a join of one", middleware.Join(header), set("A", "k"), []string{middleware.JoinSubject("k")}},
		{"a join of joins", middleware.Join(middleware.Join(header, header), header), set("A", "k"), []string{middleware.JoinSubject("k", "k"), "k"}},
		{"the first key", middleware.FirstOf(header, middleware.ClientIP()), set("A", "k"), []string{middleware.FirstOfSubject(0, "k")}},
		{"the next key", middleware.FirstOf(header, middleware.ClientIP()), plain, []string{middleware.FirstOfSubject(1, "192.0.2.1")}},
		{"the next key, a join", middleware.FirstOf(middleware.Cookie("c"), middleware.Join(header, header)), set("A", "k"), []string{middleware.FirstOfSubject(1, middleware.JoinSubject("k", "k"))}},
	} {
		for _, namespace := range []string{"", "api"} {
			p := by(c.key)
			p.Namespace = namespace
			p.Claims = func(ctx context.Context, name string) (string, bool) {
				values, _ := ctx.Value(claimKey{}).(map[string]string)
				v, ok := values[name]
				return v, ok
			}
			s := &script{}
			get(wrap(t, s, p, teapot), "/", c.edit)
			require.Len(t, s.takes, 1)
			assert.Equal(t, s.takes[0].key, p.BudgetKey("default", c.parts...), "%s, namespace %q", c.name, namespace)
			if namespace == "" {
				assert.Equal(t, s.takes[0].key, middleware.BudgetKey("default", c.parts...), c.name)
			}
			assert.NotEqual(t, s.takes[0].key, p.BudgetKey("other", c.parts...), c.name)
		}
	}
}

// What a program reads, gives and takes by such a key is what requests meet.
func TestBudgetKeyOfALimiter(t *testing.T) {
	l := limiter.NewLocal(limiter.Config{})
	p := by(middleware.Header("X-Api-Key"))
	p.Default[0].Limit = limiter.Per(3, time.Hour)
	h := wrap(t, l, p, teapot)
	request := func() int { return get(h, "/", set("X-Api-Key", "k1")).Code }
	require.Equal(t, 418, request())
	require.Equal(t, 418, request())

	k, limit := p.BudgetKey("default", "k1"), p.Default[0].Limit
	d, err := l.Take(t.Context(), k, limit, 0)
	require.NoError(t, err)
	assert.Equal(t, int64(1), d.Remaining)
	_, err = l.Take(t.Context(), k, limit, 1)
	require.NoError(t, err)
	assert.Equal(t, 429, request())
	require.NoError(t, l.Give(t.Context(), k, limit, 2))
	assert.Equal(t, 418, request())
}
