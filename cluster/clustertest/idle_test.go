package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-go/weir/limiter"
)

// A node that had nothing to do for long sleeps, and yet what it then admits is copied
// within a flush.
func TestIdleNodesWakeToFlush(t *testing.T) {
	l := limiter.Per(10, 24*time.Hour)
	for i := range 3 {
		for asleep := 10 * time.Second; asleep < 11*time.Second; asleep += 130 * time.Millisecond {
			synctest.Test(t, func(t *testing.T) {
				c := New(t, 3, Options{})
				time.Sleep(asleep)
				spendAll(t, c, l, 4, 4)
				time.Sleep(150 * time.Millisecond)
				c.Kill(i)
				time.Sleep(10 * time.Second)
				spendAll(t, c, l, 20, 6)
			})
		}
	}
}
