package clustertest

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// All nodes restart gracefully under traffic, one after the other. One is far from the
// others, so that a node which has just started hears late of what it holds. Those that are
// asked for it meanwhile leave the answer to who knows: nothing is degraded.
func TestRestartsNearAFarNode(t *testing.T) {
	t.Parallel()
	const near = 12 * time.Millisecond
	for _, far := range []time.Duration{near, 75 * time.Millisecond, 200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := empty(t, Options{Network: simnet.Options{Latency: near, KeepAlive: 2 * time.Second}})
			for i := range 4 {
				c.newHost()
				if i == 3 {
					for k := range 3 {
						c.Net.Link(name(k), name(3), far, 0, 0)
						c.Net.Link(name(3), name(k), far, 0, 0)
					}
				}
				c.start(i)
			}
			c.Settle()
			l := limiter.Limit{Quota: 1e6, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
			for i := range 4 {
				var traffic sync.WaitGroup
				for asked := range 4 {
					if asked == i {
						continue
					}
					n := c.Node(asked)
					for k := range 100 {
						k := fmt.Sprint(k)
						traffic.Go(func() {
							for range 100 {
								d, err := n.Take(t.Context(), k, l, 1)
								if err != nil || d.Degraded || !d.Allowed {
									t.Errorf("%v node %d: key %s of node %d, while node %d restarts: %+v %v",
										time.Now().Format("04:05.000"), asked, k, ownerOf(4, k, l), i, d, err)
								}
								time.Sleep(20 * time.Millisecond)
							}
						})
					}
				}
				require.NoError(t, c.Leave(i))
				time.Sleep(100 * time.Millisecond)
				c.Restart(i)
				traffic.Wait()
				c.Settle()
			}
		})
	}
}
