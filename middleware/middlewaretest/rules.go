package middlewaretest

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// The rows about what a policy can say beyond the contract's table.

// stackedConcurrently has many clients fight for three budgets at once, and then looks into
// each: what it holds is what was admitted, not one more for all that was denied.
func stackedConcurrently(t *testing.T, over setup) {
	const clients, keys = 4, 3
	ip, key, all := daily("ip", 30), daily("key", 35), daily("all", 90)
	key.Key, all.Key = middleware.Header("X-Api-Key"), middleware.Shared()
	s := newService(t, over, middleware.Policy{Always: []middleware.Rule{all}, Default: []middleware.Rule{ip, key}})
	var byIP [clients]atomic.Int64
	var byKey [keys]atomic.Int64
	var sum, other atomic.Int64
	addresses := make([]string, clients)
	for i := range addresses {
		addresses[i] = s.client()
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 40 {
				c, k := (worker+i)%clients, (worker*7+i/3)%keys
				q := request{client: addresses[c], route: "GET /health", header: map[string]string{"X-Api-Key": strconv.Itoa(k)}}
				switch s.send(q).status {
				case http.StatusOK:
					byIP[c].Add(1)
					byKey[k].Add(1)
					sum.Add(1)
				case http.StatusTooManyRequests:
				default:
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, other.Load())
	require.Positive(t, sum.Load())
	spent := func(r middleware.Rule, subject string) int64 {
		d, err := over.limiters[0].Take(t.Context(), limiter.Key(r.Name, subject), r.Limit, 0)
		require.NoError(t, err)
		return r.Limit.Quota - d.Remaining
	}
	for i := range byIP {
		assert.Equal(t, byIP[i].Load(), spent(ip, addresses[i]), "address %d", i)
	}
	for i := range byKey {
		assert.Equal(t, byKey[i].Load(), spent(key, strconv.Itoa(i)), "key %d", i)
	}
	assert.Equal(t, sum.Load(), spent(all, ""), "all")
}

// The limit depends on the plan and the budget does not: whoever changes plans keeps what is
// spent, or changing back and forth would be a way around every limit.
func plans(t *testing.T, over setup) {
	r := daily("default", 2)
	r.Key, r.Plan = middleware.Header("X-Api-Key"), middleware.Header("X-Plan")
	r.Plans = map[string]limiter.Limit{"pro": limiter.Per(5, r.Limit.Window), "enterprise": limiter.Per(9, r.Limit.Window)}
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{r}})
	for plan, limit := range map[string]int64{"": 2, "pro": 5, "enterprise": 9, "no such plan": 2} {
		q := request{client: s.client(), route: "GET /health", header: map[string]string{"X-Api-Key": "key of " + plan, "X-Plan": plan}}
		for i := range limit {
			a := s.send(q)
			require.Equal(t, http.StatusOK, a.status, "%s %d", plan, i)
			assert.Equal(t, limit, number(t, a, "X-RateLimit-Limit"), plan)
		}
		assert.Equal(t, http.StatusTooManyRequests, s.send(q).status, plan)
	}
	upgraded := request{client: s.client(), route: "GET /health", header: map[string]string{"X-Api-Key": "key of ", "X-Plan": "pro"}}
	a := s.send(upgraded)
	assert.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, int64(2), number(t, a, "X-RateLimit-Remaining"), "what the free plan spent is still spent")
}

// A request may cost more than one, or nothing. What does not fit takes nothing, so a cheaper
// request still passes after it.
func costs(t *testing.T, over setup) {
	r := daily("default", 10)
	r.CostOf = func(r *http.Request) int64 {
		n, _ := strconv.ParseInt(r.Header.Get("X-Items"), 10, 64)
		return n
	}
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{r}})
	c := s.client()
	for _, step := range []struct {
		items        string
		status, left int64
	}{{"4", 200, 6}, {"7", 429, 6}, {"0", 200, 6}, {"6", 200, 0}, {"1", 429, 0}, {"0", 200, 0}} {
		a := s.send(request{client: c, route: "GET /health", header: map[string]string{"X-Items": step.items}})
		assert.Equal(t, step.status, int64(a.status), "%+v", step)
		assert.Equal(t, step.left, number(t, a, "X-RateLimit-Remaining"), "%+v", step)
	}
}

// A request without a key is refused with 403 and carries no limit headers; but its client still
// meets the limit of its address.
func absentKeys(t *testing.T, over setup) {
	key := daily("key", 50)
	key.Key, key.Absent = middleware.Header("X-Api-Key"), middleware.AbsentDeny
	s := newService(t, over, middleware.Policy{Always: []middleware.Rule{daily("ip", 5)}, Default: []middleware.Rule{key}})
	c := s.client()
	for range 5 {
		a := s.send(request{client: c, route: "GET /health"})
		assert.Equal(t, http.StatusForbidden, a.status)
		assert.Empty(t, limitHeaders(a.header))
	}
	for range 3 {
		a := s.send(request{client: c, route: "GET /health"})
		assert.Equal(t, http.StatusTooManyRequests, a.status)
		assert.Equal(t, int64(5), number(t, a, "X-RateLimit-Limit"))
	}
}

// A shadow rule decides, counts and reports, beside one that enforces; for the client it is not
// there. A policy may be put into the shadow as a whole.
func shadow(t *testing.T, over setup) {
	tight, real := daily("tight", 2), daily("real", 4)
	tight.Shadow = true
	var denials atomic.Int64
	p := middleware.Policy{Default: []middleware.Rule{tight, real}, OnDecision: func(e middleware.Event) {
		if e.Shadow && e.Verdict == middleware.Denied {
			denials.Add(1)
		}
	}}
	s := newService(t, over, p)
	c := s.client()
	for i := range int64(4) {
		a := s.send(request{client: c, route: "GET /health"})
		assert.Equal(t, http.StatusOK, a.status, "the shadow denies nothing")
		assert.Equal(t, 3-i, number(t, a, "X-RateLimit-Remaining"), "and does not show")
	}
	assert.Equal(t, int64(2), denials.Load(), "but it counts and reports")
	assert.Equal(t, http.StatusTooManyRequests, s.send(request{client: c, route: "GET /health"}).status)

	p.Shadow = true
	s.swap(p)
	a := s.send(request{client: c, route: "GET /health"})
	assert.Equal(t, http.StatusOK, a.status, "the whole policy in the shadow")
	assert.Empty(t, limitHeaders(a.header))
}

// Another policy applies to the next request. What is spent belongs to a rule's name, a subject,
// a window and an algorithm: of these a new policy keeps or changes what it likes.
func swaps(t *testing.T, over setup) {
	policy := func(quota int64, window time.Duration, a limiter.Algorithm) middleware.Policy {
		return middleware.Policy{Default: []middleware.Rule{
			{Name: "default", Limit: limiter.Limit{Quota: quota, Window: window, Algorithm: a}},
		}}
	}
	const day = 24 * time.Hour
	s := newService(t, over, policy(5, day, limiter.FixedWindow))
	c := s.client()
	for range 3 {
		s.send(request{client: c, route: "GET /health"})
	}
	for _, step := range []struct {
		why    string
		policy middleware.Policy
		status int
		left   int64
	}{
		{"a raised quota applies to what is spent", policy(8, day, limiter.FixedWindow), 200, 4},
		{"a lowered one as well", policy(4, day, limiter.FixedWindow), 429, 0},
		{"another window starts anew", policy(4, 2*day, limiter.FixedWindow), 200, 3},
		{"another algorithm too", policy(4, day, limiter.SlidingWindow), 200, 3},
		{"and the old budget is as it was", policy(6, day, limiter.FixedWindow), 200, 1},
	} {
		s.swap(step.policy)
		a := s.send(request{client: c, route: "GET /health"})
		assert.Equal(t, step.status, a.status, step.why)
		assert.Equal(t, step.left, number(t, a, "X-RateLimit-Remaining"), step.why)
	}
}
