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

// A clock jumps while a peer cannot ask it: that peer asks as soon as it can, and does not wait
// until it is that node's turn again.
func TestClockThatJumpedUnseen(t *testing.T) {
	for _, cut := range []time.Duration{13 * time.Second, 16 * time.Second, 19 * time.Second, 22 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 5, Options{})
			c.Skew(3, 5*time.Second) // all follow it now, and it follows nobody
			time.Sleep(clockTime)
			c.Cut(0, 3)
			c.Cut(3, 0)
			c.Skew(0, time.Hour)
			time.Sleep(cut)
			c.Heal()
			time.Sleep(6 * time.Second) // a period, and as long to reach it again
			want := c.Node(0).Stats().ClockOffset + time.Hour
			require.InDelta(t, want, c.Node(3).Stats().ClockOffset+5*time.Second, float64(10*time.Millisecond), "after a cut of %v", cut)
		})
	}
}
