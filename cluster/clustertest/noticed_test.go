package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// A cut so short that just one of two nodes noticed it: that one waits to be told that
// it has everything, and the other has told so before. It must not wait in vain.
func TestCutNoticedByOneSide(t *testing.T) {
	oneSided := 0
	for phase := range 20 {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 1, Options{Config: func(_ int, cfg *cluster.Config) { cfg.Split = limiter.SplitShare }})
			time.Sleep(time.Duration(phase/2) * 50 * time.Millisecond) // the two probe each other at different times
			c.Add()
			c.Settle()
			c.Cut(phase%2, 1-phase%2)
			least := [2]int{2, 2}
			seen := func() int {
				time.Sleep(time.Millisecond)
				for i := range least {
					least[i] = min(least[i], c.Node(i).Stats().Live)
				}
				return c.Node(0).Stats().Live + c.Node(1).Stats().Live
			}
			for seen() == 4 {
			}
			c.Heal() // as soon as one has noticed
			for end := time.Now().Add(4 * time.Second); time.Now().Before(end) && seen() == 4; {
			}
			for seen() < 4 {
			}
			time.Sleep(time.Second)
			if least[0]+least[1] != 3 {
				return // none, or both
			}
			oneSided++
			for _, k := range keys {
				require.Equal(t, 2, spend(t, c, k, limiter.Per(2, time.Hour), 3, 0, 1), "key %s", k)
			}
		})
	}
	require.NotZero(t, oneSided)
}
