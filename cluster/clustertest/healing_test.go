package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// In a window that begins after a split was noticed, share keeps to the quota, also
// when the split heals in it: what the other side spent must be known before this
// side's share grows.
func TestShareHoldsWhileHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{Config: func(_ int, cfg *cluster.Config) {
			cfg.Split, cfg.ExpectedNodes = limiter.SplitShare, 3
		}})
		l := limiter.Per(12, 24*time.Hour)
		c.Split([]int{0, 2}, []int{1})
		time.Sleep(30 * time.Second)
		sum := map[string]int{}
		for _, k := range keys {
			sum[k] = spend(t, c, k, l, 20, 0, 2) + spend(t, c, k, l, 20, 1)
			require.Equal(t, 12, sum[k], "key %s while split", k)
		}
		c.Heal()
		for range 1000 {
			for _, k := range keys {
				sum[k] += spend(t, c, k, l, 3)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, k := range keys {
			require.Equal(t, 12, sum[k], "key %s after the heal", k)
		}
	})
}
