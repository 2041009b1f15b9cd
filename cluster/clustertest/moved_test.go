package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/limiter"
)

// An owner that crashed and is started at once at another address must not decide
// before it knows what the successor knows: all had been flushed.
func TestMovedOwnerForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(100, 24*time.Hour)
		sum := map[string]int{}
		for _, k := range keys {
			sum[k] = spend(t, c, k, l, 50)
		}
		time.Sleep(300 * time.Millisecond)
		c.Crash(0)
		c.Move(0)
		for _, k := range keys {
			sum[k] += spend(t, c, k, l, 100)
		}
		c.Settle()
		for _, k := range keys {
			sum[k] += spend(t, c, k, l, 50)
			assert.Equal(t, 100, sum[k], "key %s of node %d", k, ownerOf(3, k, l))
		}
	})
}
