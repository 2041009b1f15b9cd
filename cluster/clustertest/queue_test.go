package clustertest_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// countedNode is a node that counts how often it is asked.
type countedNode struct {
	*cluster.Node
	takes *atomic.Int64
}

func (n countedNode) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	n.takes.Add(1)
	return n.Node.Take(ctx, key, l, cost)
}

// A hundred who wait for one key on three nodes stand in one queue: all get through in turn,
// as fast as the budget says, and nobody asks again and again.
func TestWaitersOfAllNodesQueue(t *testing.T) {
	for _, c := range []struct {
		name   string
		limit  limiter.Limit
		takes  int64         // asked for a hundred admitted, at most
		late   int           // places by which somebody may be admitted before who came first
		within time.Duration // all are through
	}{
		{"token bucket", limiter.Bucket(10, time.Second, 1), 100, 0, 10 * time.Second},
		{"fixed window", limiter.Per(10, time.Second), 350, 10, 12 * time.Second},
		{"fixed window of one", limiter.Per(1, time.Second), 450, 2, 103 * time.Second},
		{"sliding window", limiter.Sliding(10, time.Second), 400, 10, 13 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lab := clustertest.New(t, 3, clustertest.Options{})
				var takes atomic.Int64
				var mu sync.Mutex
				var order []int
				var wg sync.WaitGroup
				began := time.Now()
				for i := range 100 {
					n := countedNode{lab.Node(i % 3), &takes}
					wg.Go(func() {
						d, err := limiter.Wait(t.Context(), n, "key", c.limit, 1)
						mu.Lock()
						defer mu.Unlock()
						assert.NoError(t, err)
						assert.True(t, d.Allowed)
						order = append(order, i)
					})
					time.Sleep(time.Millisecond)
				}
				wg.Wait()
				took := time.Since(began)
				t.Logf("%s: %.2f takes asked per admitted, all through in %v", c.name, float64(takes.Load())/100, took)
				assert.LessOrEqual(t, takes.Load(), c.takes)
				assert.LessOrEqual(t, took, c.within)
				for at, who := range order {
					assert.LessOrEqual(t, at-who, c.late, "%v", order)
				}
			})
		})
	}
}

// A queue outlives the node that it is at: its successor has it, so that those who wait go on as they
// were told, and who comes later stands behind them.
func TestQueueOutlivesItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clustertest.New(t, 3, clustertest.Options{})
		l := limiter.Bucket(1, time.Second, 1)
		holder := 0
		for i := range 3 {
			d, err := lab.Node(i).Take(t.Context(), "key", l, 0)
			require.NoError(t, err)
			if d.Path == limiter.PathHeld {
				holder = i
			}
		}
		other, began := lab.Node((holder+1)%3), time.Now()
		var wg sync.WaitGroup
		wait := func(nth int) {
			wg.Go(func() {
				_, err := limiter.Wait(t.Context(), other, "key", l, 1)
				assert.NoError(t, err)
				assert.InDelta(t, time.Duration(nth)*time.Second, time.Since(began), float64(300*time.Millisecond), "the %dth", nth)
			})
			time.Sleep(time.Millisecond)
		}
		for nth := range 10 {
			wait(nth)
		}
		time.Sleep(time.Second) // a flush
		lab.Kill(holder)
		for nth := range 5 {
			wait(10 + nth)
		}
		wg.Wait()
	})
}
