package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Clocks jump one after the other, as when machines are suspended: each time another
// node has lived longest, by its own account. Soon all agree again on the time, also
// those that took themselves for the longest-lived.
func TestClocksAgreeAfterJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 5, Options{})
		skew := make([]time.Duration, 5)
		for _, jump := range []struct {
			node int
			by   time.Duration
		}{{3, 5 * time.Second}, {0, time.Hour}, {4, 10 * time.Second}, {1, 2 * time.Hour}} {
			skew[jump.node] += jump.by
			c.Skew(jump.node, skew[jump.node])
			time.Sleep(clockTime)
			want := c.Node(0).Stats().ClockOffset + skew[0]
			for i := range 5 {
				got := c.Node(i).Stats().ClockOffset + skew[i]
				require.InDelta(t, want, got, float64(10*time.Millisecond), "node %d, after node %d jumped by %v", i, jump.node, jump.by)
			}
		}
	})
}
