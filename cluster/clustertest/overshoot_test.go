package clustertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// What two sides admit together stays within what a node says it could be, in the windows of
// the cut and after, and the bound is 0 before and when all is healed.
func TestOvershootBoundHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{})
		full := limiter.Per(30, time.Hour)
		share := limiter.Limit{Quota: 30, Window: 5 * time.Second, Split: limiter.SplitShare}
		require.Zero(t, c.Node(0).Overshoot(full))
		require.Zero(t, c.Node(0).Overshoot(share))
		c.Split([]int{0, 1}, []int{2})
		time.Sleep(15 * time.Second) // until both sides have noticed
		require.EqualValues(t, 30, c.Node(0).Overshoot(full))
		require.EqualValues(t, 60, c.Node(2).Overshoot(full))
		require.Zero(t, c.Node(0).Overshoot(share), "a window has passed")
		require.Equal(t, int64(60), admitted(t, c, full), "the bound is reached")
		require.LessOrEqual(t, admitted(t, c, share), int64(30))
		c.Heal()
		c.Settle()
		time.Sleep(5 * time.Second) // who came back counts when all have told what they admitted
		for i := range 3 {
			require.Zero(t, c.Node(i).Overshoot(full))
			require.Positive(t, c.Node(i).Stats().RingChanges)
		}
	})
}

// admitted is what all nodes admit of one key, until each of them denies.
func admitted(t *testing.T, c *clustertest.Cluster, l limiter.Limit) (sum int64) {
	for i := range c.Len() {
		for range 2 * l.Quota {
			d, err := c.Node(i).Take(t.Context(), "key", l, 1)
			require.NoError(t, err)
			if d.Allowed {
				sum++
			}
		}
	}
	return sum
}
