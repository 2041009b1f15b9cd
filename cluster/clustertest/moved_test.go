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

// A node comes back at another address before the others miss the old one: until they do,
// they take it for a stranger, and it asks those who have what the old one knew.
func TestMovedBeforeItIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 4, Options{})
		l := limiter.Per(10, 24*time.Hour)
		spendAll(t, c, l, 20, 10)
		time.Sleep(200 * time.Millisecond) // a flush
		c.Kill(2)
		time.Sleep(time.Second)
		c.Move(2)
		for range 3 {
			for _, k := range keys {
				assert.Zero(t, spend(t, c, k, l, 4), "key %s of node %d", k, ownerOf(4, k, l))
			}
			time.Sleep(time.Second)
		}
		c.Settle()
		spendAll(t, c, l, 20, 0)
	})
}

// A new process is cut off before anybody has told it what was spent. Until that is a
// split, in which each side is on its own, it has no more than its share.
func TestCutOffBeforeItKnowsAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 4, Options{})
		l := limiter.Per(10, 24*time.Hour)
		spendAll(t, c, l, 20, 10)
		c.Kill(2)
		time.Sleep(time.Second)
		c.Move(2)
		c.Split([]int{2}, []int{0, 1, 3})
		for _, k := range keys {
			sum := 0
			for range 4 {
				d, err := c.Node(2).Take(t.Context(), k, l, 1)
				assert.NoError(t, err)
				if d.Allowed {
					assert.True(t, d.Degraded, "key %s of node %d", k, ownerOf(4, k, l))
					sum++
				}
			}
			assert.LessOrEqual(t, sum, 10/4, "key %s of node %d", k, ownerOf(4, k, l))
		}
	})
}
