package middlewaretest

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// The rows about what is spent, and when it is back.

// "A client that waits exactly Retry-After seconds, and is alone on its budget, is admitted",
// by each algorithm. The wait is a real one: it is the clocks of the nodes that are tried here,
// and the three algorithms wait side by side.
func retryAfterSuffices(t *testing.T, over setup) {
	rules := make([]middleware.Rule, 0, 3)
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		rules = append(rules, middleware.Rule{
			Name:  a.String(),
			Limit: limiter.Limit{Quota: 3, Window: time.Second, Algorithm: a},
			Key:   middleware.Header("X-Client"),
		})
	}
	var services []*service
	for _, r := range rules {
		services = append(services, newService(t, over, middleware.Policy{Default: []middleware.Rule{r}}))
	}
	var wg sync.WaitGroup
	for i, s := range services {
		q := request{client: s.client(), route: "GET /health", header: map[string]string{"X-Client": "me"}}
		var a answer
		for range 100 { // until a window is used up, which may turn on the way
			if a = s.send(q); a.status == http.StatusTooManyRequests {
				break
			}
		}
		require.Equal(t, http.StatusTooManyRequests, a.status, rules[i].Name)
		wait := time.Duration(number(t, a, "Retry-After")) * time.Second
		wg.Go(func() {
			<-time.After(wait)
			assert.Equal(t, http.StatusOK, s.send(q).status, "%s, after %v", rules[i].Name, wait)
		})
	}
	wg.Wait()
}

// "One that waits until X-RateLimit-Reset finds a full window (fixed window)." The reset is a
// time of the wall clock, the window one of cluster time; rounding up must cover both.
func resetIsFull(t *testing.T, over setup) {
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{
		{Name: "default", Limit: limiter.Per(5, 1500*time.Millisecond)},
	}})
	c := s.client()
	a := s.send(request{client: c, route: "GET /health"})
	reset := time.Unix(number(t, a, "X-RateLimit-Reset"), 0)
	<-time.After(time.Until(reset))
	a = s.send(request{client: c, route: "GET /health"})
	assert.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, int64(4), number(t, a, "X-RateLimit-Remaining"), "at the reset the whole window is there")
}

// "a request must pass all of them, a denied request spends from none, and the headers show
// the one with the least left". One after the other, so that each number can be said.
func stacked(t *testing.T, over setup) {
	byKey := daily("key", 3)
	byKey.Key = middleware.Header("X-Api-Key")
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{daily("ip", 5), byKey}})
	one, two := s.client(), s.client()
	send := func(client, key string) answer {
		return s.send(request{client: client, route: "GET /health", header: map[string]string{"X-Api-Key": key}})
	}
	for i := range int64(3) {
		a := send(one, "k1")
		require.Equal(t, http.StatusOK, a.status)
		assert.Equal(t, int64(3), number(t, a, "X-RateLimit-Limit"), "the key has the least left")
		assert.Equal(t, 2-i, number(t, a, "X-RateLimit-Remaining"))
	}
	for range 4 {
		assert.Equal(t, http.StatusTooManyRequests, send(one, "k1").status, "the key is spent")
	}
	assert.Equal(t, http.StatusOK, send(one, "k2").status, "the denied requests took nothing from the address")
	a := send(one, "k2")
	assert.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, int64(5), number(t, a, "X-RateLimit-Limit"), "now the address has the least left")
	for range 4 {
		assert.Equal(t, http.StatusTooManyRequests, send(one, "k2").status, "the address is spent")
	}
	assert.Equal(t, http.StatusOK, send(two, "k2").status, "the denied requests took nothing from the key")
	assert.Equal(t, http.StatusTooManyRequests, send(two, "k2").status)
}

// A login limit that only failed logins use up. The cost is taken first and given back after:
// guesses in flight together cannot be more than the limit, and right passwords are free.
func outcomes(t *testing.T, over setup) {
	login := daily("login", 5)
	login.Count = middleware.CountStatuses(401, 403)
	s := newService(t, over, middleware.Policy{Default: []middleware.Rule{login}})
	c := s.client()
	for range 20 {
		assert.Equal(t, 200, s.send(request{client: c, route: "GET /health"}).status, "what succeeds does not count")
	}
	// Guesses and right passwords together, from many at once.
	var failed, other atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 10 {
				route := "GET /status/401"
				if (worker+i)%2 == 0 {
					route = "GET /health"
				}
				switch s.send(request{client: c, route: route}).status {
				case http.StatusUnauthorized:
					failed.Add(1)
				case http.StatusOK, http.StatusTooManyRequests:
				default:
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, other.Load())
	require.LessOrEqual(t, failed.Load(), int64(5))
	// A guess may have met only places that were held for a moment; what is left is exact.
	for ; failed.Load() < 5; failed.Add(1) {
		require.Equal(t, http.StatusOK, s.send(request{client: c, route: "GET /health"}).status)
		require.Equal(t, http.StatusUnauthorized, s.send(request{client: c, route: "GET /status/401"}).status)
	}
	assert.Equal(t, http.StatusTooManyRequests, s.send(request{client: c, route: "GET /status/401"}).status)
	assert.Equal(t, http.StatusTooManyRequests, s.send(request{client: c, route: "GET /health"}).status)
}
