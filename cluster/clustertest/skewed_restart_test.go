package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// A node whose wall clock is minutes ahead comes back after a kill: the budgets that are
// handed to it must not look expired to it before it knows cluster time.
func TestSkewedRestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{Skews: []time.Duration{0, 0, 6 * time.Minute}})
		c.Crash(1) // a seed that will not answer: a start takes longer
		c.Settle()
		l := limiter.Per(10, time.Minute)
		var tested int
		for _, k := range keys {
			d, err := c.Node(0).Take(t.Context(), k, l, 0)
			require.NoError(t, err)
			if d.ResetAfter < 30*time.Second {
				continue // its window would turn during the test
			}
			require.Equal(t, 10, spend(t, c, k, l, 20))
			defer func() {
				require.Equal(t, 0, spend(t, c, k, l, 20), "key %s", k)
			}()
			tested++
		}
		require.NotZero(t, tested)
		time.Sleep(300 * time.Millisecond)
		c.Kill(2)
		c.Restart(2)
		c.Settle(0, 2)
	})
}
