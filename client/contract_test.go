package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/client"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// served is a handler as a RoundTripper: the middleware and the client meet without
// a network, so that both live in one bubble of virtual time.
type served struct {
	handler http.Handler
	// delay, if set, is slept on the way there and on the way back, so that requests
	// and answers overtake each other.
	delay func() time.Duration

	mu     sync.Mutex // guards status
	status map[int]int
}

func (s *served) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RemoteAddr = "192.0.2.1:4711"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if s.delay != nil {
		time.Sleep(s.delay())
		defer func() { time.Sleep(s.delay()) }()
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, in)
	s.mu.Lock()
	s.status[w.Code]++
	s.mu.Unlock()
	return w.Result(), nil
}

// guarded is a service behind the middleware.
func guarded(t *testing.T, l middleware.Limiter, p middleware.Policy) *served {
	t.Helper()
	m, err := middleware.New(l, p)
	require.NoError(t, err)
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return &served{handler: m.Wrap(ok), status: map[int]int{}}
}

// send makes one request and returns its status, 0 with an error.
func send(ctx context.Context, c *client.Client, method, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://auth.test"+path, strings.NewReader("grant"))
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}

func TestReadsEveryDialectOfTheMiddleware(t *testing.T) {
	for name, dialects := range map[string]middleware.Dialect{
		"default": 0, "seconds": middleware.XRateLimitSeconds, "IETF": middleware.IETF,
		"both": middleware.XRateLimit | middleware.IETF,
	} {
		for _, problem := range []bool{false, true} {
			t.Run(name+" problem="+strconv.FormatBool(problem), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					policy := middleware.ReferencePolicy()
					policy.Dialects, policy.Problem = dialects, problem
					server := guarded(t, limiter.NewLocal(limiter.Config{}), policy)
					c := client.New(&client.Transport{Base: server, ErrorOnLimit: true, Retry: client.Retry{Attempts: 1}})
					for i := range int64(20) {
						status, err := send(t.Context(), c, "POST", "/v1/token")
						require.NoError(t, err)
						require.Equal(t, http.StatusNoContent, status)
						last := c.LastRateLimit()
						require.True(t, last.LimitKnown && last.RemainingKnown && last.ResetKnown, "%v", last)
						require.False(t, last.RetryAfterKnown)
						require.EqualValues(t, 20, last.Limit)
						require.Equal(t, 19-i, last.Remaining)
						require.True(t, 0 < last.ResetAfter && last.ResetAfter <= 61*time.Second, "%v", last)
					}
					_, err := send(t.Context(), c, "POST", "/v1/token")
					limited, ok := errors.AsType[*client.RateLimitError](err)
					require.True(t, ok, "%v", err)
					assert.Equal(t, c.LastRateLimit(), limited.RateLimit)
					assert.Zero(t, limited.Remaining)
					require.True(t, limited.RetryAfterKnown)
					assert.Equal(t, limited.RetryAfter, limited.RetryAfter.Truncate(time.Second))
					assert.NotEmpty(t, limited.RequestID)
					assert.NotEmpty(t, limited.Message)
					if !problem {
						assert.Equal(t, client.CodeExceeded, limited.Code)
						assert.Contains(t, limited.Message, " "+strconv.FormatInt(int64(limited.RetryAfter/time.Second), 10)+" second")
					}

					time.Sleep(limited.RetryAfter)
					status, err := send(t.Context(), c, "POST", "/v1/token")
					require.NoError(t, err, "who waits exactly Retry-After is admitted")
					assert.Equal(t, http.StatusNoContent, status)
				})
			})
		}
	}
}

func TestExemptRouteIsUnknown(t *testing.T) {
	c := client.New(&client.Transport{Base: guarded(t, limiter.NewLocal(limiter.Config{}), middleware.ReferencePolicy())})
	_, err := send(t.Context(), c, "GET", "/.well-known/jwks.json")
	require.NoError(t, err)
	assert.Equal(t, "limit=unknown remaining=unknown reset=unknown retry-after=unknown", c.LastRateLimit().String())
}

func TestRetriesAgainstTheMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := guarded(t, limiter.NewLocal(limiter.Config{}), middleware.ReferencePolicy())
		c := client.New(&client.Transport{Base: server})
		for range 21 {
			status, err := send(t.Context(), c, "POST", "/v1/token")
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, status)
		}
		assert.Equal(t, map[int]int{http.StatusNoContent: 21, http.StatusTooManyRequests: 1}, server.status,
			"one denial, one wait, and in")
	})
}

func TestPacesAgainstTheMiddleware(t *testing.T) {
	// At full rate it takes 4 to 5 minutes. A sliding window is whole again only after
	// two windows, and that is all its headers say, so there the client is slower.
	for name, tc := range map[string]struct {
		limit limiter.Limit
		most  time.Duration
	}{
		"fixed window":   {limiter.Per(20, time.Minute), 6 * time.Minute},
		"sliding window": {limiter.Limit{Quota: 20, Window: time.Minute, Algorithm: limiter.SlidingWindow}, 15 * time.Minute},
		"token bucket":   {limiter.Limit{Quota: 20, Window: time.Minute, Algorithm: limiter.TokenBucket}, 6 * time.Minute},
		"small bucket":   {limiter.Limit{Quota: 20, Window: time.Minute, Burst: 3, Algorithm: limiter.TokenBucket}, 6 * time.Minute},
	} {
		for paceName, pace := range map[string]client.Pace{"wait": client.PaceWait, "spread": client.PaceSpread} {
			t.Run(name+" "+paceName, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					policy := middleware.Policy{Default: []middleware.Rule{{Name: "all", Limit: tc.limit}}}
					server := guarded(t, limiter.NewLocal(limiter.Config{}), policy)
					tr := &client.Transport{Base: server, Pace: pace, Retry: client.Retry{Total: time.Hour}}
					c := client.New(tr)
					start := time.Now()
					var wg sync.WaitGroup
					for range 100 {
						wg.Go(func() {
							status, err := send(t.Context(), c, "GET", "/v1/agents/7")
							assert.NoError(t, err)
							assert.Equal(t, http.StatusNoContent, status)
						})
					}
					wg.Wait()
					assert.Zero(t, server.status[http.StatusTooManyRequests], "nothing was sent in vain")
					assert.Less(t, time.Since(start), tc.most)
				})
			})
		}
	}
}

// TestPacesThroughReordering has requests and answers overtake each other in many
// ways. The pacing must not take a late answer for news.
func TestPacesThroughReordering(t *testing.T) {
	for name, limit := range map[string]limiter.Limit{
		"fixed window":   limiter.Per(5, 15*time.Second),
		"sliding window": {Quota: 5, Window: 15 * time.Second, Algorithm: limiter.SlidingWindow},
		"token bucket":   {Quota: 5, Window: 15 * time.Second, Algorithm: limiter.TokenBucket},
		"small bucket":   {Quota: 5, Window: 15 * time.Second, Burst: 3, Algorithm: limiter.TokenBucket},
	} {
		for _, pace := range []client.Pace{client.PaceWait, client.PaceSpread} {
			for seed := range uint64(seeds) {
				synctest.Test(t, func(t *testing.T) {
					policy := middleware.Policy{Default: []middleware.Rule{{Name: "all", Limit: limit}}}
					server := guarded(t, limiter.NewLocal(limiter.Config{}), policy)
					random := rand.New(rand.NewPCG(seed, 1))
					var mu sync.Mutex // guards random
					server.delay = func() time.Duration {
						mu.Lock()
						defer mu.Unlock()
						return time.Duration(random.Int64N(int64(300 * time.Millisecond)))
					}
					c := client.New(&client.Transport{Base: server, Pace: pace, Retry: client.Retry{Total: time.Hour}})
					var wg sync.WaitGroup
					for range 20 {
						wg.Go(func() {
							_, err := send(t.Context(), c, "GET", "/v1/agents/7")
							assert.NoError(t, err)
						})
					}
					wg.Wait()
					assert.Equal(t, map[int]int{http.StatusNoContent: 20}, server.status, "%s, pace %d, seed %d", name, pace, seed)
				})
			}
		}
	}
}

// seeds is how many ways of overtaking are tried for each limit.
const seeds = 100

// outage is a limiter that cannot decide for the first so many requests.
type outage struct {
	middleware.Limiter
	left int
}

func (o *outage) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	if o.left > 0 {
		o.left--
		return limiter.Decision{}, errors.New("no owner")
	}
	return o.Limiter.Take(ctx, key, l, cost)
}

func TestOutageOfTheLimiter(t *testing.T) {
	policy := middleware.Policy{Default: []middleware.Rule{{Name: "all", Limit: limiter.Per(20, time.Minute), Outage: middleware.OutageClosed}}}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		server := guarded(t, &outage{limiter.NewLocal(limiter.Config{}), 2}, policy)
		status, err := send(t.Context(), client.New(&client.Transport{Base: server}), "POST", "/v1/token")
		require.NoError(t, err)
		assert.Equal(t, http.StatusNoContent, status, "a POST too: the limiter refused before the handler ran")
		assert.GreaterOrEqual(t, time.Since(start), 2*time.Second, "Retry-After: 1, twice")

		server = guarded(t, &outage{limiter.NewLocal(limiter.Config{}), 1}, policy)
		_, err = send(t.Context(), client.New(&client.Transport{Base: server, ErrorOnLimit: true, Retry: client.Retry{Attempts: 1}}), "POST", "/v1/token")
		limited, ok := errors.AsType[*client.RateLimitError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, http.StatusServiceUnavailable, limited.StatusCode)
		assert.Equal(t, client.CodeUnavailable, limited.Code)
	})
}
