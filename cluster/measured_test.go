package cluster

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

// Takes that wait until their node is connected say nothing of how far the peer is. Taken
// for it, the node would soon take no answer of that peer for possible in time.
func TestConnectingIsNoRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const way = 100 * time.Millisecond
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: way}), "a", "b")
		var takes sync.WaitGroup
		for k := range 50 { // b has just started, and is not connected yet
			takes.Go(func() {
				_, err := nodes[1].Take(t.Context(), fmt.Sprint(k), limiter.Per(10, time.Minute), 1)
				require.NoError(t, err)
			})
		}
		takes.Wait()
		require.Less(t, nodes[1].view.Load().byName["a"].pace.Smooth(), 2*way+way/4)
	})
}
