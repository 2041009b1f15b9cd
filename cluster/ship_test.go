package cluster

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// What is due to a node that does not answer does not make the others get their copies
// more often than with every flush.
func TestFlushesWhileAPeerIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 200 * time.Microsecond})
		nodes, hosts, _ := startCounted(t, nw, "a", "b", "c")
		time.Sleep(time.Second)
		l := limiter.Limit{Quota: 10_000, Window: time.Hour, Lease: limiter.LeaseOff}
		var held []string // by a
		for i := 0; len(held) < 10; i++ {
			if key := fmt.Sprint(i); holds(nodes[0], key, l) {
				held = append(held, key)
			}
		}
		hosts[2].Crash()
		for i := 0; nodes[0].Stats().Unreachable == 0; i++ { // a finds out, and gossip has not yet
			if key := fmt.Sprint("-", i); holds(nodes[2], key, l) {
				nodes[0].Take(t.Context(), key, l, 1)
			}
		}
		require.Equal(t, 3, nodes[0].Stats().Live)
		before := nodes[0].Stats().Shipped
		for i := range 10_000 {
			_, err := nodes[0].Take(t.Context(), held[i%len(held)], l, 1)
			require.NoError(t, err)
			time.Sleep(100 * time.Microsecond)
		}
		require.Equal(t, 1, nodes[0].Stats().Unreachable, "still")
		shipped := nodes[0].Stats().Shipped - before
		require.NotZero(t, shipped)
		require.Less(t, shipped, int64(15*len(held)), "copies: of each budget one with every flush, of which there are 10")
	})
}

func holds(n *Node, key string, l limiter.Limit) bool {
	return n.ledger.Held().Has(n.id(key, &l).Partition())
}

// What a peer refuses is behind for as long as it does, however often it is sent.
func TestBehindWhileRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		time.Sleep(2 * time.Second)
		a, b, key := nodes[0], nodes[1], ""
		l := limiter.Limit{Quota: 10, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		for i := 0; key == "" || !holds(a, key, l); i++ {
			key = fmt.Sprint(i)
		}
		b.timed.Store(false) // it refuses everything
		_, err := a.Take(t.Context(), key, l, 1)
		require.NoError(t, err)
		time.Sleep(time.Second)
		for i := range 40 {
			require.InDelta(t, time.Second+time.Duration(i)*70*time.Millisecond, a.Stats().Behind, float64(200*time.Millisecond))
			time.Sleep(70 * time.Millisecond)
		}
		b.timed.Store(true)
		time.Sleep(500 * time.Millisecond)
		require.Zero(t, a.Stats().Behind)
		require.NotZero(t, a.Stats().Shipped)
		time.Sleep(time.Minute)
		require.Zero(t, a.Stats().Behind)
	})
}
