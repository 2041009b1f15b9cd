package clustertest

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// A request that reaches a leaving node when the asker has become the holder must be
// decided by the holder: two deciders would each admit the last of the quota.
func TestLateRequestAtLeavingNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 2, Options{Network: simnet.Options{Latency: 5 * time.Millisecond}})
		l := limiter.Per(1, 24*time.Hour)
		var admitted [200]atomic.Int64
		for k := range admitted {
			for _, after := range []time.Duration{0, 12 * time.Millisecond} {
				go func() {
					time.Sleep(after)
					d, err := c.Node(0).Take(t.Context(), limiter.Key("late", string(rune('0'+k))), l, 1)
					if err == nil && d.Allowed {
						admitted[k].Add(1)
					}
				}()
			}
		}
		require.NoError(t, c.Leave(1))
		time.Sleep(time.Second)
		for k := range admitted {
			require.Equal(t, int64(1), admitted[k].Load(), "key %d", k)
		}
	})
}
