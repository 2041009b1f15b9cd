package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// A node restarts where it reaches nobody, and its wall clock is an hour from the
// cluster's. After the heal the counts of both sides are known: none is dropped or
// moved out of its window because the times differed when they met.
func TestRestartInAnotherTime(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 2, Options{Skews: []time.Duration{ahead, ahead}})
			c.Kill(1)
			time.Sleep(5 * time.Second)
			c.Split([]int{0}, []int{1})
			c.Skew(1, 0)
			c.Restart(1)
			l := limiter.Per(100, 10*time.Minute)
			tested := 0
			for _, k := range keys {
				d, err := c.Node(0).Take(t.Context(), k, l, 0)
				require.NoError(t, err)
				if d.ResetAfter < time.Minute || d.ResetAfter > 9*time.Minute {
					continue // a window would turn during the test, in one of the two times
				}
				tested++
				require.Equal(t, 7, spend(t, c, k, l, 7, 0))
				defer func() {
					for i := range 2 {
						d, err := c.Node(i).Take(t.Context(), k, l, 0)
						require.NoError(t, err)
						require.LessOrEqual(t, d.Remaining, int64(93), "key %s at node %d", k, i)
					}
				}()
			}
			require.NotZero(t, tested)
			time.Sleep(5 * time.Second)
			c.Heal()
			c.Settle()
			time.Sleep(10 * time.Second)
		})
	}
}
