package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// spend makes takes of 1, in turn on each running node, and counts what is admitted.
func spend(t *testing.T, c *Cluster, key string, l limiter.Limit, takes int, nodes ...int) (admitted int) {
	t.Helper()
	if len(nodes) == 0 {
		nodes = c.Running()
	}
	for i := range takes {
		d, err := c.Node(nodes[i%len(nodes)]).Take(t.Context(), key, l, 1)
		require.NoError(t, err)
		if d.Allowed {
			admitted++
		}
	}
	return admitted
}

var keys = []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}

func spendAll(t *testing.T, c *Cluster, l limiter.Limit, takes, want int) {
	t.Helper()
	for _, k := range keys {
		require.Equal(t, want, spend(t, c, k, l, takes), "key %s", k)
	}
}

func TestRollingRestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(10, 24*time.Hour)
		spendAll(t, c, l, 4, 4)
		for i := range 3 {
			require.NoError(t, c.Leave(i))
			c.Restart(i)
			c.Settle()
		}
		spendAll(t, c, l, 30, 6)
	})
}

func TestKillOneAtATimeForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(10, 24*time.Hour)
		spendAll(t, c, l, 4, 4)
		for i := range 3 {
			time.Sleep(200 * time.Millisecond) // a flush
			c.Kill(i)
			c.Restart(i)
			c.Settle()
		}
		spendAll(t, c, l, 30, 6)
	})
}

func TestScaleForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(10, 24*time.Hour)
		spendAll(t, c, l, 4, 4)
		for range 5 {
			c.Add()
			c.Settle()
		}
		for i := range 5 {
			require.NoError(t, c.Leave(i))
		}
		c.Settle()
		spendAll(t, c, l, 30, 6)
	})
}

// Three nodes leave at once, under traffic: budgets pass through each other's hands.
func TestScaleAllAtOnceForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(100, 24*time.Hour)
		sum := map[string]int{}
		traffic := func() {
			for _, k := range keys {
				sum[k] += spend(t, c, k, l, 9)
			}
		}
		traffic()
		for range 5 {
			c.Add()
			traffic()
		}
		for i := range 5 {
			require.NoError(t, c.Leave(i))
			traffic()
		}
		for _, k := range keys {
			sum[k] += spend(t, c, k, l, 200)
			require.Equal(t, 100, sum[k], "key %s", k)
		}
	})
}
