package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// A clock runs away, by a hundredth, as fast as any can be followed, and later by 200 ppm
// for long. However long the wires and uneven their delay, its node follows the others'
// time as well as it can be known over such wires, copies are taken, and nothing is behind.
func TestDriftOverALongWire(t *testing.T) {
	t.Parallel()
	l := limiter.Limit{Quota: 1000, Window: 30 * 24 * time.Hour, Lease: limiter.LeaseOff}
	for _, c := range []struct{ rtt, jitter time.Duration }{
		{rtt: time.Millisecond}, {rtt: 5 * time.Millisecond}, {rtt: 20 * time.Millisecond}, {rtt: 50 * time.Millisecond},
		{rtt: 60 * time.Millisecond}, {rtt: 100 * time.Millisecond}, {rtt: 200 * time.Millisecond}, {rtt: 400 * time.Millisecond},
		{20 * time.Millisecond, 20 * time.Millisecond}, {100 * time.Millisecond, 50 * time.Millisecond}, {300 * time.Millisecond, 50 * time.Millisecond},
	} {
		t.Run(c.rtt.String()+" and "+c.jitter.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := New(t, 3, Options{Network: simnet.Options{Latency: c.rtt / 2, Jitter: c.jitter},
					Config: func(_ int, cfg *cluster.Config) { cfg.CallTimeout = 2 * time.Second }})
				skew := time.Duration(0)
				apart := func() (most time.Duration) {
					var time [3]time.Duration
					for i := range time {
						time[i] = w.Node(i).Stats().ClockOffset
					}
					time[2] += skew
					return max((time[2] - time[0]).Abs(), (time[2] - time[1]).Abs())
				}
				worst := time.Duration(0)
				drift := func(by, every time.Duration, n int) {
					for range n {
						skew += by
						w.Skew(2, skew)
						time.Sleep(every)
						worst = max(worst, apart())
					}
				}
				check := func(admitted int) {
					t.Helper()
					before := w.Node(2).Stats().Shipped
					spendAll(t, w, l, 30, 30)
					time.Sleep(10 * time.Second)
					require.Greater(t, w.Node(2).Stats().Shipped, before, "copies are taken")
					for i := range 3 {
						require.Zero(t, w.Node(i).Stats().Behind, "node %d", i)
						for _, k := range keys {
							d, err := w.Node(i).Take(t.Context(), k, l, 0)
							require.NoError(t, err)
							require.EqualValues(t, admitted, l.Quota-d.Remaining, "key %s at node %d", k, i)
						}
					}
				}
				drift(10*time.Millisecond, time.Second, 80)
				check(30)
				t.Logf("at most %v apart with 10,000 ppm", worst)
				require.Less(t, worst, 250*time.Millisecond)
				time.Sleep(time.Minute)
				worst = 0
				drift(2*time.Millisecond, 10*time.Second, 120)
				check(60)
				t.Logf("at most %v apart with 200 ppm", worst)
				require.LessOrEqual(t, worst, 10*time.Millisecond+c.rtt/2+c.jitter)
			})
		})
	}
}
