package middlewaretest

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// The rows about whom a policy refuses for longer, whom always, whom never, and who has a limit
// of its own.

const (
	day       = 24 * 60 * 60 // seconds
	banLength = 30 * day     // beyond what any wait for a daily limit is
)

// banRules ban who goes on after two refusals, of calls and of failed logins.
func banRules() middleware.Policy {
	calls, login := daily("calls", 2), daily("login", 2)
	calls.Ban = middleware.Ban{After: 2, For: banLength * time.Second}
	login.Ban, login.Count = calls.Ban, middleware.CountStatuses(http.StatusUnauthorized)
	return middleware.Policy{
		Address: middleware.Address{Hops: 1},
		Default: []middleware.Rule{calls},
		Routes:  []middleware.Route{{Patterns: []string{"POST " + right, "POST " + wrong}, Rules: []middleware.Rule{login}}},
	}
}

// The second refusal bans, on all nodes, and the wait says for how long. Of a rule that counts by
// outcome it is refusals that ban, not what failed before them.
func bans(t *testing.T, f *five) {
	for _, c := range []struct {
		path     string
		admitted int
	}{{list, http.StatusOK}, {wrong, http.StatusUnauthorized}} {
		for range 2 {
			assert.Equal(t, c.admitted, f.send(t, c.path, "198.51.100.1").Status, c.path)
		}
		a := f.send(t, c.path, "198.51.100.1")
		assert.Equal(t, http.StatusTooManyRequests, a.Status, c.path)
		assert.LessOrEqual(t, a.RetryAfter, int64(day), "%s: the limit's own wait", c.path)
		for range 4 {
			a = f.send(t, c.path, "198.51.100.1")
			assert.Equal(t, http.StatusTooManyRequests, a.Status, c.path)
			assert.Equal(t, []string{"2", "0"}, []string{a.Limit, a.Remaining}, c.path)
			assert.InDelta(t, banLength, a.RetryAfter, 60, c.path)
		}
		assert.Equal(t, c.admitted, f.send(t, c.path, "198.51.100.2").Status, "%s: its neighbour", c.path)
	}
	assert.InDelta(t, banLength, f.send(t, right, "198.51.100.1").RetryAfter, 60, "of a password that would be right")
}

// listRules deny and allow by networks and by keys.
func listRules() middleware.Policy {
	networks := func(all ...string) (m middleware.Match) {
		for _, n := range all {
			m.Networks = append(m.Networks, netip.MustParsePrefix(n))
		}
		return m
	}
	keys := func(all ...string) middleware.Match {
		return middleware.Match{Key: middleware.Header("X-Api-Key"), Subjects: all}
	}
	return middleware.Policy{
		Address: middleware.Address{Hops: 1},
		Default: []middleware.Rule{daily("calls", 1)},
		Deny:    []middleware.Match{networks("203.0.113.0/24", "2001:db8:bad::/48"), keys("stolen")},
		Allow:   []middleware.Match{networks("192.0.2.0/24"), keys("partner")},
		Routes:  []middleware.Route{middleware.On(batch, daily("batch", 1))},
	}
}

// Who is denied is refused with 403, says nothing of limits and spends nothing, by whichever
// spelling of its address it comes; who is allowed meets no limit. Who is both is denied.
func lists(t *testing.T, f *five) {
	for _, path := range []string{list, batch} {
		for _, client := range []string{"203.0.113.7", "::ffff:203.0.113.7", "64:ff9b::203.0.113.7", "2001:db8:bad:1::7"} {
			a := f.send(t, path, client, "X-Api-Key", "partner")
			assert.Equal(t, Reply{Status: http.StatusForbidden}, a, "%s %s", path, client)
		}
		for _, client := range []string{"198.51.100.1", "192.0.2.1"} {
			a := f.send(t, path, client, "X-Api-Key", "stolen")
			assert.Equal(t, Reply{Status: http.StatusForbidden}, a, "%s %s", path, client)
		}
		for range 4 {
			assert.Equal(t, Reply{Status: http.StatusOK}, f.send(t, path, "192.0.2.1"), path)
			assert.Equal(t, Reply{Status: http.StatusOK}, f.send(t, path, "198.51.100.1", "X-Api-Key", "partner"), path)
		}
		assert.Equal(t, "0", f.send(t, path, "198.51.100.1").Remaining, "%s: nothing was spent so far", path)
		assert.Equal(t, http.StatusTooManyRequests, f.send(t, path, "198.51.100.1").Status, path)
	}
}

// limitRules have limits by customer.
func limitRules() middleware.Policy {
	r := daily("calls", 2)
	r.LimitOf = func(r *http.Request) (limiter.Limit, bool) {
		switch r.Header.Get("X-Customer") {
		case "large":
			return limiter.Per(4, day*time.Second), true
		case "closed":
			return limiter.Per(0, day*time.Second), true
		case "broken":
			return limiter.Limit{}, true
		}
		return limiter.Limit{}, false
	}
	return middleware.Policy{Address: middleware.Address{Hops: 1}, Default: []middleware.Rule{r}}
}

// The function's limit counts where it gives one, upon what is already spent; a quota of 0 admits
// nothing, and a limit that cannot be is no way around limits.
func limitsByRequest(t *testing.T, f *five) {
	for _, c := range []struct {
		customer, limit, remaining string
		status                     int
	}{
		{"", "2", "1", 200}, {"", "2", "0", 200}, {"", "2", "0", 429},
		{"large", "4", "1", 200}, {"closed", "", "", 403}, {"large", "4", "0", 200}, {"large", "4", "0", 429}, {"", "2", "0", 429},
	} {
		a := f.send(t, list, "198.51.100.1", "X-Customer", c.customer)
		assert.Equal(t, c.status, a.Status, "%+v", c)
		assert.Equal(t, []string{c.limit, c.remaining}, []string{a.Limit, a.Remaining}, "%+v", c)
	}
	assert.Equal(t, http.StatusServiceUnavailable, f.send(t, list, "198.51.100.2", "X-Customer", "broken").Status)
	assert.Equal(t, "1", f.send(t, list, "198.51.100.2").Remaining, "what could not be decided spent nothing")
}
