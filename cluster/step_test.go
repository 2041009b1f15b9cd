package cluster

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/limiter"
)

// Budgets are spent; then cluster time steps, over and over, while takes go on. What was
// spent stays spent, at the holder and in the copies that are under way meanwhile.
func TestTakesWhileTheClockSteps(t *testing.T) {
	const keys = 20_000
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		time.Sleep(2 * time.Second)
		a, l := nodes[0], limiter.Limit{Quota: 3, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		var held []string
		for i := 0; len(held) < keys; i++ {
			if key := fmt.Sprint(i); holds(a, key, l) {
				held = append(held, key)
			}
		}
		var admitted atomic.Int64
		take := func(key string) {
			if d, err := a.Take(context.Background(), key, l, 1); err == nil && d.Allowed {
				admitted.Add(1)
			}
		}
		for _, key := range held {
			for range 3 {
				take(key)
			}
		}
		require.EqualValues(t, 3*keys, admitted.Load())
		var wg sync.WaitGroup
		var stop atomic.Bool
		for w := range 2 {
			wg.Go(func() {
				for i := w; !stop.Load(); i = (i + 7) % keys {
					take(held[i])
				}
			})
		}
		for i := range 60 { // in virtual time all of it is one instant
			age := a.clock.age()
			a.clock.Follow(ctime.Reading{Want: a.clock.At(age) + int64(i%7-3)*int64(31*time.Hour) - int64(age)})
			a.steps <- struct{}{}
		}
		for len(a.steps) > 0 {
			runtime.Gosched() // the takes must have been made before time passes
		}
		stop.Store(true)
		wg.Wait()
		for _, key := range held {
			take(key)
		}
		require.EqualValues(t, 3*keys, admitted.Load(), "more was admitted while time stepped, or after it")
	})
}
