package middleware_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// numbering is a limiter that has numbers of its own.
type numbering struct{ script }

func (*numbering) KeyID(key string) uint64 { return uint64(len(key)) }

// The number of a budget is the same for all that spend it, and what a person writes of the
// subject leads to it.
func TestKeyID(t *testing.T) {
	header, ip := middleware.Header("A"), middleware.ClientIP()
	for _, c := range []struct {
		name  string
		key   middleware.Key
		edit  func(*http.Request)
		words []string
	}{
		{"the zero key", middleware.Key{}, from("[2001:db8:1:2::5]:1"), []string{"2001:db8:1:2::99"}},
		{"an address", ip, from("192.0.2.9:1"), []string{" 192.0.2.9 "}},
		{"an address by its own rule", middleware.ClientIPBy(middleware.Address{IPv6Prefix: 48}), from("[2001:db8:1:2::5]:1"), []string{"2001:db8:1:9::1"}},
		{"a peer", middleware.PeerIP(), from("[2001:db8:1:2::5]:1"), []string{"2001:db8:1:2::99"}},
		{"the shared budget", middleware.Shared(), plain, nil},
		{"the shared budget, whoever is asked for", middleware.Shared(), plain, []string{"192.0.2.9"}},
		{"no key", header, plain, nil},
		{"an unreadable address", middleware.ClientIPBy(middleware.Address{Hops: 2}), set("X-Forwarded-For", "x"), []string{"unreadable"}},
		{"a network", ip, from("[2001:db8:1:2::5]:1"), []string{"2001:db8:1:2::/64"}},
		{"a token", middleware.Bearer(), set("Authorization", "Bearer t0k"), []string{"t0k"}},
		{"a header that looks like an address", header, set("A", "2001:db8::1"), []string{"2001:db8::1"}},
		{"a join", middleware.Join(header, ip), both(set("A", "k"), from("[2001:db8::5]:1")), []string{"k", "2001:db8::6"}},
		{"a join of one", middleware.Join(header), set("A", "k"), []string{"k"}},
		{"the first key", middleware.FirstOf(header, ip), set("A", "k"), []string{"0:k"}},
		{"the second key", middleware.FirstOf(header, ip), from("[2001:db8::5]:1"), []string{"1:2001:db8::6"}},
	} {
		for _, l := range []middleware.Limiter{&script{}, &numbering{}} {
			var seen []uint64
			p := by(c.key)
			p.OnDecision = func(e middleware.Event) { seen = append(seen, e.KeyID) }
			m, err := middleware.New(l, p)
			require.NoError(t, err)
			h := m.Wrap(teapot)
			get(h, "/", c.edit)
			get(h, "/", c.edit)
			parts, err := m.Parts("default", c.words...)
			require.NoError(t, err)
			id, err := m.KeyID("default", parts...)
			require.NoError(t, err)
			assert.Equal(t, []uint64{id, id}, seen, c.name)
			if _, own := l.(*numbering); own {
				assert.EqualValues(t, len(middleware.BudgetKey("default", parts...)), id)
			}
			other, err := m.KeyID("default", "somebody else, who has a longer name")
			require.NoError(t, err)
			assert.NotEqual(t, id, other)
		}
	}
}

// Words of which no request's subject can be made are an error, and lead to no budget that nobody spends.
func TestPartsOfNobody(t *testing.T) {
	header, ip := middleware.Header("A"), middleware.ClientIP()
	for _, c := range []struct {
		key    middleware.Key
		absent middleware.Absent
		words  []string
		why    string
	}{
		{middleware.Key{}, 0, []string{"192.0.2.l"}, `"192.0.2.l" is not an address`},
		{ip, 0, []string{"192.0.2.1:80"}, `"192.0.2.1:80" is not an address`},
		{ip, 0, []string{"192.0.2.1", "192.0.2.2"}, "for client-ip is 1, not 2"},
		{header, middleware.AbsentDeny, nil, "for header A is 1, not 0"},
		{middleware.Join(header, ip), 0, []string{"k"}, "for join(header A, client-ip) is 2, not 1"},
		{middleware.Join(header, ip), 0, []string{"k", "k"}, `"k" is not an address`},
		{middleware.FirstOf(header, ip), 0, []string{"192.0.2.1"}, `"192.0.2.1" does not begin with which of the 2 keys it is of`},
		{middleware.FirstOf(header, ip), 0, []string{"2:k"}, `"2:k" does not begin`},
		{middleware.FirstOf(header, ip), 0, []string{"1:k"}, `"k" is not an address`},
	} {
		p := by(c.key)
		p.Default[0].Absent = c.absent
		m, err := middleware.New(&script{}, p)
		require.NoError(t, err)
		_, err = m.Parts("default", c.words...)
		require.ErrorIs(t, err, middleware.ErrParts, "%v %q", c.key, c.words)
		assert.ErrorContains(t, err, c.why)
	}
}

// The rules in force are told by name, and what is none of them is an error.
func TestRules(t *testing.T) {
	p := by(middleware.Key{})
	p.Always = []middleware.Rule{perMinute("all", 9)}
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
	require.NoError(t, err)
	names := func() (all []string) {
		for _, r := range m.Rules() {
			all = append(all, r.Name)
		}
		return all
	}
	assert.Equal(t, []string{"all", "default"}, names())
	assert.Equal(t, limiter.Per(9, time.Minute), m.Rules()[0].Limit)
	p.Always = nil
	require.NoError(t, m.Swap(p))
	assert.Equal(t, []string{"default"}, names())
	_, err = m.Parts("all", "x")
	assert.ErrorIs(t, err, middleware.ErrRule)
	_, err = m.KeyID("all", "x")
	assert.ErrorIs(t, err, middleware.ErrRule)
}
