package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// OnForward hears of each take for which others were asked, with the taker's context and the
// way that it took; and of none that was decided where it began.
func TestOnForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type heard struct {
			of  any
			how cluster.Forwarded
		}
		type of struct{}
		var mu sync.Mutex
		var all []heard
		c := clustertest.New(t, 3, clustertest.Options{Config: func(i int, cfg *cluster.Config) {
			if i == 0 {
				cfg.OnForward = func(ctx context.Context, f cluster.Forwarded) {
					mu.Lock()
					defer mu.Unlock()
					all = append(all, heard{ctx.Value(of{}), f})
				}
			}
		}})
		l := limiter.Limit{Quota: 5, Window: time.Hour, Lease: limiter.LeaseOff}
		take := func(key string) (limiter.Decision, []heard) {
			all = nil
			d, err := c.Node(0).Take(context.WithValue(t.Context(), of{}, key), key, l, 1)
			require.NoError(t, err)
			return d, all
		}
		held, key := 0, ""
		for i := range 60 {
			k := fmt.Sprint("key", i)
			d, told := take(k)
			if d.Path == limiter.PathHeld {
				require.Empty(t, told)
				held++
				continue
			}
			require.Len(t, told, 1)
			require.Equal(t, k, told[0].of)
			f := told[0].how
			require.Equal(t, d, f.Decision)
			require.False(t, f.Here)
			require.Positive(t, f.Took)
			require.Len(t, f.Hops, 1)
			require.Equal(t, cluster.HopDecided, f.Hops[0].Outcome)
			require.Equal(t, cluster.AsHolder, f.Hops[0].As)
			if f.Hops[0].Node == "node2" {
				key = k
			}
		}
		require.Positive(t, held)
		require.NotEmpty(t, key)
		c.Crash(2)
		d, told := take(key)
		require.True(t, d.Allowed)
		require.Len(t, told, 1)
		f := told[0].how
		require.Equal(t, "node2", f.Hops[0].Node)
		require.Equal(t, cluster.HopNoAnswer, f.Hops[0].Outcome)
		require.Error(t, f.Hops[0].Err)
		if !f.Here {
			last := f.Hops[len(f.Hops)-1]
			require.Equal(t, "node1", last.Node)
			require.Equal(t, cluster.AsSuccessor, last.As)
			require.Equal(t, cluster.HopDecided, last.Outcome)
		}
	})
}
