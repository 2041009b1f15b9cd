package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
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

// A clock jumps, and one peer is cut off from that node just then, for longer than a question
// waits for its answer: it follows soon after, also where its turn to ask was meanwhile.
func TestClockThatJumpedUnseen(t *testing.T) {
	for at := time.Duration(0); at < 12*time.Second; at += 1500 * time.Millisecond { // all have their turn once
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 5, Options{})
			c.Skew(3, 5*time.Second) // alone it moves nobody, and comes back to their time
			time.Sleep(clockTime + at)
			c.Cut(0, 3)
			c.Cut(3, 0)
			c.Skew(0, time.Hour)
			time.Sleep(2500 * time.Millisecond)
			c.Heal()
			time.Sleep(5 * time.Second)
			want := c.Node(0).Stats().ClockOffset + time.Hour
			assert.InDelta(t, want, c.Node(3).Stats().ClockOffset+5*time.Second, float64(10*time.Millisecond), "cut off after %v", at)
		})
	}
}
