package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// Whatever leases are under way while callers on all nodes race for the last of a
// budget: exactly the budget is admitted.
func TestRaceForALeasedBudget(t *testing.T) {
	nodes := startNodes(t, 3, func(c *Config) { c.CallTimeout = 10 * time.Second })
	races := 1000
	if testing.Short() {
		races = 50
	}
	leased := func() (sum int64) {
		for _, n := range nodes {
			sum += n.Stats().Leased
		}
		return sum
	}
	for i := 0; i < races || leased() == 0; i++ { // a race can be over before a lease has come
		l := limiter.Limit{Quota: 1 + rand.Int64N(2000), Window: 300 * 24 * time.Hour, // none ends meanwhile, hardly a refill
			Lease: limiter.LeaseAlways, Algorithm: limiter.Algorithm(i % 3)}
		if l.Algorithm == limiter.TokenBucket {
			l.Burst = l.Quota
		}
		key := fmt.Sprintf("race%d", i)
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for _, n := range nodes {
			for range 64 {
				wg.Go(func() {
					for {
						d, err := n.Take(context.Background(), key, l, 1)
						if err != nil || d.Degraded {
							t.Errorf("race %d, %v: %+v, %v", i, l.Algorithm, d, err)
						}
						if err != nil || !d.Allowed {
							return
						}
						admitted.Add(1)
					}
				})
			}
		}
		wg.Wait()
		require.Equal(t, l.Quota, admitted.Load(), "race %d, %v", i, l.Algorithm)
	}
}
