package middleware_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// daily is a policy of one rule whose window does not turn while a test runs.
func daily(quota int64, edit ...func(*limiter.Limit)) middleware.Policy {
	l := limiter.Per(quota, 24*time.Hour)
	for _, e := range edit {
		e(&l)
	}
	return middleware.Policy{Default: []middleware.Rule{{Name: "default", Limit: l}}}
}

// Budgets carry over: another quota applies to what is spent, another window or algorithm
// starts a new budget, and so does another name.
func TestSwapCarriesBudgetsOver(t *testing.T) {
	for _, algorithm := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		t.Run(algorithm.String(), func(t *testing.T) {
			// Virtual time stands still, so that no token is refilled under way.
			synctest.Test(t, func(t *testing.T) {
				use := func(l *limiter.Limit) { l.Algorithm = algorithm }
				m, err := middleware.New(limiter.NewLocal(limiter.Config{}), daily(5, use))
				require.NoError(t, err)
				h := m.Wrap(teapot)
				shows := func(why string, limit, left string, status int) {
					t.Helper()
					w := get(h, "/")
					assert.Equal(t, status, w.Code, why)
					assert.Equal(t, limit, w.Header().Get("X-RateLimit-Limit"), why)
					assert.Equal(t, left, w.Header().Get("X-RateLimit-Remaining"), why)
				}
				swap := func(p middleware.Policy) {
					t.Helper()
					require.NoError(t, m.Swap(p))
				}
				shows("new", "5", "4", 418)
				shows("new", "5", "3", 418)
				shows("new", "5", "2", 418)
				// A window counts requests: 3 are spent. A bucket counts time: 3/5 of a day is
				// spent, of which another quota makes another number of requests.
				raised, lowered, before := "6", 429, 418
				if algorithm == limiter.TokenBucket {
					raised, lowered, before = "3", 418, 429
				}
				swap(daily(10, use))
				shows("raised", "10", raised, 418)
				swap(daily(4, use))
				shows("lowered", "4", "0", lowered)
				swap(daily(5, use))
				shows("as before", "5", "0", before)
				swap(daily(5, use, func(l *limiter.Limit) { l.Window = 12 * time.Hour }))
				shows("another window", "5", "4", 418)
				swap(daily(5, func(l *limiter.Limit) { l.Algorithm = (algorithm + 1) % 3 }))
				shows("another algorithm", "5", "4", 418)
				renamed := daily(5, use)
				renamed.Default[0].Name = "other"
				swap(renamed)
				shows("another name", "5", "4", 418)
				moved := daily(1)
				moved.Default[0].Name = "unused"
				moved.Routes = []middleware.Route{middleware.On("/", renamed.Default[0])}
				swap(moved)
				shows("the same rule elsewhere", "5", "3", 418)
			})
		})
	}
}

// A broken policy leaves the old one in force, with all that is spent.
func TestSwapRefused(t *testing.T) {
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), daily(5))
	require.NoError(t, err)
	get(m.Wrap(teapot), "/")
	require.ErrorIs(t, m.Swap(daily(-1)), middleware.ErrPolicy)
	w := get(m.Wrap(teapot), "/")
	assert.Equal(t, "5", w.Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "3", w.Header().Get("X-RateLimit-Remaining"))
}

// Under load every request goes by one policy, whole: never by one rule of the old and
// one of the new, and no request is lost between them.
func TestSwapUnderLoad(t *testing.T) {
	policy := func(quota int64, dialects middleware.Dialect) middleware.Policy {
		p := middleware.Policy{Dialects: dialects}
		for _, name := range []string{"a", "b", "c"} {
			p.Default = append(p.Default, middleware.Rule{Name: name, Limit: limiter.Per(quota, 24*time.Hour)})
		}
		return p
	}
	const most = 500 // what the larger of the policies admits
	large, small := policy(most, middleware.IETF), policy(most-1, middleware.IETF|middleware.XRateLimitSeconds)
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), large)
	require.NoError(t, err)
	h := m.Wrap(teapot)

	// The whole answer shows by which policy it was made: three rules and the dialect.
	whole := map[string]bool{}
	for quota, limit := range map[int]string{most: "", most - 1: fmt.Sprint(most - 1)} {
		whole[fmt.Sprintf(`"a";q=%d;w=86400, "b";q=%[1]d;w=86400, "c";q=%[1]d;w=86400 %s`, quota, limit)] = true
	}
	var admitted, denied atomic.Int64
	var seen sync.Map
	done := make(chan struct{})
	var senders, swapper sync.WaitGroup
	swapper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				assert.NoError(t, m.Swap([]middleware.Policy{small, large}[i%2]))
				assert.Error(t, m.Swap(policy(-1, middleware.IETF)))
			}
		}
	})
	for range 4 {
		senders.Go(func() {
			for range 2 * most / 4 {
				w := get(h, "/")
				seen.Store(w.Header().Get("RateLimit-Policy")+" "+w.Header().Get("X-RateLimit-Limit"), true)
				switch w.Code {
				case http.StatusTeapot:
					admitted.Add(1)
				case http.StatusTooManyRequests:
					denied.Add(1)
				}
			}
		})
	}
	senders.Wait()
	close(done)
	swapper.Wait()
	seen.Range(func(answer, _ any) bool {
		return assert.Contains(t, whole, answer, "neither of the two policies")
	})
	assert.Equal(t, int64(2*most), admitted.Load()+denied.Load())
	assert.LessOrEqual(t, admitted.Load(), int64(most), "the budget is one, whichever policy is in force")

	// Alone, and by the larger policy, what is left can be had to the last one.
	require.NoError(t, m.Swap(large))
	for admitted.Load() < most {
		require.Equal(t, http.StatusTeapot, get(h, "/").Code)
		admitted.Add(1)
	}
	assert.Equal(t, http.StatusTooManyRequests, get(h, "/").Code)
}
