//go:build linux

package cluster_test

import (
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

var nodesFlag = flag.Int("weir.nodes", 15, "nodes of TestManyNodes")

// A large cluster forms, loses a tenth of its nodes at once, and is split 60 to 40 and
// healed, with takes all the time between: each sum is exact. How long any node's loop was
// at work without a pause is told, by the machine's clock.
func TestManyNodes(t *testing.T) {
	nodes := *nodesFlag
	var longest, busiest atomic.Int64
	lap := func() func() {
		runtime.LockOSThread() // its time is the loop's alone
		began, worked := machine(), thread()
		return func() {
			atLeast(&longest, machine()-began)
			atLeast(&busiest, thread()-worked)
			runtime.UnlockOSThread()
		}
	}
	tell := func(t *testing.T, what string, since int64) {
		t.Logf("%s: %v of the machine; the longest lap of a loop %v, in which others ran too, the one with most work %v", what,
			time.Duration(machine()-since).Round(time.Millisecond), time.Duration(longest.Swap(0)).Round(10*time.Microsecond),
			time.Duration(busiest.Swap(0)).Round(10*time.Microsecond))
	}
	synctest.Test(t, func(t *testing.T) {
		l := limiter.Limit{Quota: 1_000_000, Window: 30 * 24 * time.Hour, Lease: limiter.LeaseOff}
		begin := machine()
		c := clustertest.New(t, nodes, clustertest.Options{Config: func(_ int, cfg *cluster.Config) { cluster.SetLap(cfg, lap) }})
		tell(t, fmt.Sprintf("%d nodes form", nodes), begin)
		admitted := map[string]int64{}
		spend := func(on ...int) {
			for k := range 200 {
				key := fmt.Sprint("key", k)
				for j := range 3 {
					d, err := c.Node(on[(k+7*j)%len(on)]).Take(t.Context(), key, l, 1)
					require.NoError(t, err)
					if d.Allowed {
						admitted[key]++
					}
				}
			}
			time.Sleep(time.Second) // copies are made
		}
		check := func() {
			t.Helper()
			on := c.Running()
			for key, n := range admitted {
				for j := range 3 {
					d, err := c.Node(on[j*(len(on)-1)/2]).Take(t.Context(), key, l, 0)
					require.NoError(t, err)
					require.Equal(t, n, l.Quota-d.Remaining, "%s", key)
				}
			}
		}
		spend(c.Running()...)
		check()
		begin = machine()
		for i := range nodes / 10 {
			c.Kill(i * 10) // one copy of each budget is left where not both holders are gone
		}
		lost := map[int]bool{}
		for i := range nodes {
			lost[i] = c.Node(i) == nil
		}
		c.Settle()
		tell(t, fmt.Sprintf("%d lost at once", nodes/10), begin)
		if nodes/10 < 2 {
			check()
		}
		admitted = map[string]int64{} // of two neighbours that are gone at once, nobody has copies
		l.Window += time.Hour
		spend(c.Running()...)
		check()

		var a, b []int
		for n, i := range c.Running() {
			if n%5 < 3 {
				a = append(a, i)
			} else {
				b = append(b, i)
			}
		}
		begin = machine()
		c.Split(a, b)
		c.Settle(a...)
		c.Settle(b...)
		spend(a...)
		spend(b...)
		c.Heal()
		c.Settle()
		time.Sleep(10 * time.Second)
		tell(t, fmt.Sprintf("a split %d to %d, healed", len(a), len(b)), begin)
		check()
	})
}

// machine is the time of the machine, in nanoseconds: that of the bubble stands still while
// something is at work.
func machine() int64 {
	var tv syscall.Timeval
	if err := syscall.Gettimeofday(&tv); err != nil {
		panic(err)
	}
	return tv.Nano()
}

// thread is the time that this thread has had a processor.
func thread() int64 {
	const self = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(self, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func atLeast(x *atomic.Int64, n int64) {
	for was := x.Load(); n > was && !x.CompareAndSwap(was, n); was = x.Load() {
	}
}
