package clustertest

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

var splitsFlag = flag.Uint64("weir.splits", 4, "how many splits of each kind TestNoticing measures")

// How long it takes until all nodes of a side, and of both, have noticed a split, and until
// all are one cluster again after it. What the documentation says of that, it says by
// -weir.splits=20 -v. The oracle counts on noticeTime.
func TestNoticing(t *testing.T) {
	for _, sides := range [][][]int{{{0}, {1, 2}}, {{0}, {1, 2, 3, 4}}, {{0, 1}, {2, 3, 4}}, {{0, 1, 2}, {3, 4, 5}}, {{0, 1, 2, 3}, {4, 5, 6, 7}}} {
		t.Run(fmt.Sprint(sides), func(t *testing.T) {
			t.Parallel()
			var noticed, healed []time.Duration // by both sides
			var sideNoticed [2][]time.Duration
			for seed := range *splitsFlag {
				synctest.Test(t, func(t *testing.T) {
					c := New(t, len(sides[0])+len(sides[1]), Options{
						Network: simnet.Options{Seed: seed + 1, Latency: 200 * time.Microsecond, KeepAlive: 2 * time.Second}})
					time.Sleep(time.Duration(seed) * 137 * time.Millisecond) // at any moment between two probes
					until := func(done func() bool) time.Duration {
						begin := time.Now()
						for !done() && time.Since(begin) < settleMax {
							time.Sleep(10 * time.Millisecond)
						}
						return time.Since(begin)
					}
					c.Split(sides...)
					var by [2]time.Duration
					begin := time.Now()
					noticed = append(noticed, until(func() bool {
						for i, side := range sides {
							if by[i] == 0 && c.Whole(side...) {
								by[i] = time.Since(begin)
							}
						}
						return c.Whole(sides[0]...) && c.Whole(sides[1]...)
					}))
					for i := range by {
						sideNoticed[i] = append(sideNoticed[i], by[i])
					}
					time.Sleep(10 * time.Second)
					c.Heal()
					healed = append(healed, until(func() bool { return c.Whole() }))
				})
			}
			slices.Sort(noticed)
			slices.Sort(healed)
			n := len(noticed)
			for i, side := range sides {
				slices.Sort(sideNoticed[i])
				t.Logf("a side of %d noticed after %v to %v, median %v", len(side), sideNoticed[i][0], sideNoticed[i][n-1], sideNoticed[i][n/2])
			}
			t.Logf("noticed after %v to %v, median %v; one again after %v to %v, median %v",
				noticed[0], noticed[n-1], noticed[n/2], healed[0], healed[n-1], healed[n/2])
			assert.Less(t, noticed[n-1], noticeTime)
			assert.Less(t, healed[n-1], breakTime)
		})
	}
}
