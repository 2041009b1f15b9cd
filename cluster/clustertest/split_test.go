package clustertest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

func TestSplitAndHeal(t *testing.T) {
	// Of a quota of 100, with five nodes split 3 to 2.
	for _, c := range []struct {
		mode  limiter.Split
		cut   [2]int // most admitted in the window of the cut, by which side had the owner
		later int    // most admitted in later windows
	}{
		{limiter.SplitFull, [2]int{200, 200}, 200},
		{limiter.SplitShare, [2]int{140, 160}, 100},
		{limiter.SplitQuorum, [2]int{100, 100}, 100},
	} {
		t.Run(c.mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				splitAndHeal(t, c.mode, c.cut, c.later)
			})
		})
	}
}

func splitAndHeal(t *testing.T, mode limiter.Split, cut [2]int, later int) {
	c := New(t, 5, Options{Config: func(i int, cfg *cluster.Config) { voting(5)(i, cfg); cfg.Split = mode; cfg.ExpectedNodes = 5 }})
	time.Sleep(5 * time.Second) // the start is over for all of them
	l := limiter.Per(100, 10*time.Minute)
	for _, k := range keys {
		require.Equal(t, 100, spend(t, c, k, limiter.Per(100, 11*time.Minute), 150))
	}
	sum := map[string]int{}
	c.Split([]int{0, 1, 2}, []int{3, 4})
	owner := map[string]int{} // its side: the one that goes on as if nothing had happened
	for _, k := range keys {
		a, b := spend(t, c, k, l, 60, 0, 1, 2), spend(t, c, k, l, 60, 3, 4)
		if sum[k] = a + b; a < 60 {
			owner[k] = 1
		}
		require.True(t, a == 60 || b == 60, "key %s: nobody owns it: %d and %d", k, a, b)
	}
	time.Sleep(20 * time.Second)
	require.True(t, c.Whole(0, 1, 2))
	require.True(t, c.Whole(3, 4))
	for _, k := range keys {
		sum[k] += spend(t, c, k, l, 200, 0, 1, 2)
		sum[k] += spend(t, c, k, l, 200, 3, 4)
		assert.LessOrEqual(t, sum[k], cut[owner[k]], "key %s in the window of the cut", k)
		assert.GreaterOrEqual(t, sum[k], 100, "key %s in the window of the cut", k)
	}
	time.Sleep(10 * time.Minute)
	fresh := map[string]int{}
	for _, k := range keys {
		fresh[k] += spend(t, c, k, l, 200, 0, 1, 2)
		fresh[k] += spend(t, c, k, l, 200, 3, 4)
		assert.LessOrEqual(t, fresh[k], later, "key %s in a later window", k)
	}
	long := limiter.Per(1000, 30*24*time.Hour) // it does not end meanwhile
	total := map[string]int{}
	for _, k := range keys {
		total[k] += spend(t, c, k, long, 30, 0, 1, 2)
		total[k] += spend(t, c, k, long, 20, 3, 4)
	}
	c.Heal()
	c.Settle()
	time.Sleep(200 * time.Millisecond)
	for _, k := range keys {
		for i := range 5 {
			d, err := c.Node(i).Take(t.Context(), k, long, 0)
			require.NoError(t, err)
			require.Equal(t, int64(1000-total[k]), d.Remaining, "key %s at node %d", k, i)
		}
	}
}

func TestLongSplitHealsByItself(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		lasts time.Duration
		sides [][]int
	}{
		{time.Hour, [][]int{{0, 1, 2}, {3, 4}}},
		{5 * time.Minute, [][]int{{0}, {1, 2, 3, 4}}},
		{5 * time.Minute, [][]int{{0, 1}, {2, 3}, {4}}},
	} {
		sides := s.sides
		t.Run(fmt.Sprint(sides), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(t, 5, Options{})
				c.Split(sides...)
				time.Sleep(s.lasts)
				for _, side := range sides {
					require.True(t, c.Whole(side...))
				}
				c.Heal()
				start := time.Now()
				c.Settle()
				t.Logf("whole %v after the heal", time.Since(start))
			})
		})
	}
}
