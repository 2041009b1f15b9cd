package clustertest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// In a window that begins after a split was noticed, share and quorum keep to the quota,
// also when the split heals in it: no side may count those that came back before it knows
// what they know.
func TestQuotaHoldsWhileHealing(t *testing.T) {
	t.Parallel()
	const quota = 60
	for _, mode := range []limiter.Split{limiter.SplitShare, limiter.SplitQuorum} {
		for _, sides := range [][][]int{{{0, 2}, {1}}, {{0, 1, 4}, {2, 3}}, {{0, 1}, {2, 3}, {4, 5, 6}}} {
			t.Run(fmt.Sprintf("%v %v", mode, sides), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, l, keys := splitForAWindow(t, mode, quota, 0, sides)
					sum := map[string]int{}
					for _, k := range keys[:len(keys)/2] {
						for _, side := range sides {
							sum[k] += spend(t, c, k, l, 2*quota, side...)
						}
					}
					spendWhileHealing(t, c, keys, l, sum)
				})
			})
		}
	}
}

// splitForAWindow starts a cluster and splits it for longer than a window of the limit
// that it returns. The keys are some whose window is not over soon.
func splitForAWindow(t *testing.T, mode limiter.Split, quota int64, expected int, sides [][]int) (c *Cluster, l limiter.Limit, long []string) {
	c = New(t, len(slices.Concat(sides...)), Options{Network: simnet.Options{Latency: 5 * time.Millisecond, KeepAlive: 2 * time.Second}, Config: func(_ int, cfg *cluster.Config) {
		cfg.Split, cfg.ForgetAfter, cfg.ExpectedNodes = mode, 24*time.Hour, expected
		for _, i := range slices.Concat(sides...) {
			cfg.Voters = append(cfg.Voters, name(i))
		}
	}})
	time.Sleep(2 * time.Second) // the voters vote
	l = limiter.Per(quota, 10*time.Minute)
	c.Split(sides...)
	time.Sleep(l.Window + 30*time.Second)
	for _, k := range keys {
		now := time.Now().UnixNano()
		start := windowStart(k, &l, now)
		if start+int64(l.Window) > now+int64(time.Minute) {
			long = append(long, k)
		}
	}
	require.Greater(t, len(long), len(keys)/2)
	return c, l, long
}

// spendWhileHealing heals the cluster and asks all nodes without a pause, until they have
// met and four seconds are over. In the end the whole quota is spent, no less and no more.
func spendWhileHealing(t *testing.T, c *Cluster, keys []string, l limiter.Limit, sum map[string]int) {
	c.Heal()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var met atomic.Bool
	for _, i := range c.Running() {
		for _, k := range keys {
			wg.Go(func() {
				for ; !met.Load(); time.Sleep(time.Millisecond) {
					d, err := c.Node(i).Take(t.Context(), k, l, 1)
					mu.Lock()
					assert.NoError(t, err)
					if d.Allowed {
						sum[k]++
					}
					mu.Unlock()
				}
			})
		}
	}
	c.Settle()
	time.Sleep(4 * time.Second) // a share grows within three
	met.Store(true)
	wg.Wait()
	for _, k := range keys {
		assert.EqualValues(t, l.Quota, sum[k], "key %s", k)
	}
}
