package cluster

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// A crash throttles what the dead node held, and nothing else: not what was nobody's when
// the cluster formed, nor what was taken from a node that is long forgotten.
func TestACrashThrottlesOnlyWhatTheDeadHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 200 * time.Microsecond, KeepAlive: time.Second})
		nodes, hosts, _ := startCounted(t, nw, "a", "b", "c", "d", "e")
		time.Sleep(5 * time.Second)
		l := limiter.Limit{Quota: 100, Window: 24 * time.Hour, Split: limiter.SplitShare, Lease: limiter.LeaseOff}
		for crash := 4; crash > 1; crash-- {
			held, living := map[int]int{}, nodes[:crash]
			for i := range 40 {
				held[i] = slices.IndexFunc(nodes[:crash+1], func(n *Node) bool { return holds(n, fmt.Sprint(crash, i), l) })
			}
			hosts[crash].Crash()
			nodes[crash].Close()
			for slices.ContainsFunc(living, func(n *Node) bool { return n.Stats().Live > crash }) {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond)
			throttled := 0
			for i, holder := range held {
				want := 100 * crash / (crash + 1)
				if holder == crash { // one node's share, until it is clear who else is gone
					want = 100 / (crash + 1)
					throttled++
				}
				admitted := 0
				for take := range 120 {
					d, err := living[take%crash].Take(t.Context(), fmt.Sprint(crash, i), l, 1)
					require.NoError(t, err)
					if d.Allowed {
						admitted++
					}
				}
				require.Equal(t, want, admitted, "key %d, of %d nodes, held by %d", i, crash+1, holder)
			}
			require.NotZero(t, throttled)
			time.Sleep(2 * time.Minute) // and it is forgotten
		}
	})
}
