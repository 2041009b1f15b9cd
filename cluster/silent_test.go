package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// Where one link is cut, both of its ends say so, also to who stands beside.
func TestUnreachableTellsFromWhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{})
		require.Equal(t, map[string][]string{"node0": nil, "node1": nil, "node2": nil}, c.Node(0).Unreachable(t.Context()))
		c.Cut(1, 2)
		c.Cut(2, 1)
		for range 20 { // somebody must have asked
			for _, i := range []int{1, 2} {
				for k := range 8 {
					_, err := c.Node(i).Take(t.Context(), string(rune('a'+k)), limiter.Per(100, time.Hour), 1)
					require.NoError(t, err)
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, map[string][]string{"node0": nil, "node1": {"node2"}, "node2": {"node1"}}, c.Node(0).Unreachable(t.Context()))
		require.Equal(t, map[string][]string{"node0": nil, "node1": {"node2"}}, c.Node(1).Unreachable(t.Context()), "node2 does not answer this one")
		c.Heal()
		c.Settle()
		require.Equal(t, map[string][]string{"node0": nil, "node1": nil, "node2": nil}, c.Node(2).Unreachable(t.Context()))
	})
}
