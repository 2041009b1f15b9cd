package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// What a quorum of three costs per take, against the default: takes are asked at one node,
// which holds a third of the keys. p50 is of one take.
func BenchmarkTakeQuorum(b *testing.B) {
	nodes := startNodes(b, 3, func(c *Config) { c.Voters = []string{"node0", "node1", "node2"} })
	require.Eventually(b, func() bool {
		return !slices.ContainsFunc(nodes, func(n *Node) bool { return !n.Stats().Votes })
	}, 10*time.Second, 10*time.Millisecond)
	for _, split := range []limiter.Split{limiter.SplitFull, limiter.SplitQuorum} {
		for _, callers := range []int{1, 256} {
			l := limiter.Limit{Quota: limiter.MaxQuota, Window: time.Hour, Split: split, Lease: limiter.LeaseOff}
			b.Run(fmt.Sprintf("%v/callers=%d", split, callers), func(b *testing.B) { benchmarkSplit(b, nodes[0], l, callers) })
		}
	}
}

func benchmarkSplit(b *testing.B, n *Node, l limiter.Limit, callers int) {
	const keys = 256
	for i := range keys { // claimed before it counts
		_, err := n.Take(context.Background(), fmt.Sprint("key", i), l, 1)
		require.NoError(b, err)
	}
	var next atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			var mine []time.Duration
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				began := time.Now()
				if d, err := n.Take(context.Background(), fmt.Sprint("key", i%keys), l, 1); err != nil || d.Degraded {
					b.Error(d, err)
					return
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "takes/s")
}
