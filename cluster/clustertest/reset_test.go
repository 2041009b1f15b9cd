package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// resetLimits are without leases: what is out is missing in what a look finds.
var resetLimits = []limiter.Limit{
	{Quota: 100, Window: 24 * time.Hour, Lease: limiter.LeaseOff},
	{Quota: 100, Window: 24 * time.Hour, Algorithm: limiter.SlidingWindow, Lease: limiter.LeaseOff},
	{Quota: 100, Window: 24 * time.Hour, Algorithm: limiter.TokenBucket, Lease: limiter.LeaseOff},
	{Quota: 100, Align: limiter.AlignDay, Zone: "Europe/Berlin", Lease: limiter.LeaseOff},
}

// A budget that is spent, denied and remembered as denied everywhere is whole on every node when
// Reset returns, and stays exact.
func TestResetIsAtOnceAndEverywhere(t *testing.T) {
	for _, l := range resetLimits {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			spendAll(t, c, l, int(l.Quota)+6, int(l.Quota)) // the last ones are denied, on every node
			for i, k := range keys {
				require.NoError(t, c.Node(i%3).Reset(t.Context(), k, l))
				for j := range 3 { // those that remembered it too
					require.Equal(t, 10, spend(t, c, k, l, 10, j), "%v: key %s on node %d, reset on %d", l, k, j, i%3)
				}
				for j := range 3 {
					d, err := c.Node(j).Take(t.Context(), k, l, 0)
					require.NoError(t, err)
					require.EqualValues(t, l.Quota-30, d.Remaining, "%v", l)
				}
				require.NoError(t, c.Node(0).Reset(t.Context(), k, l))
			}
		})
	}
}

// What nodes have leased of a budget that is reset is called back first: nothing is admitted twice.
func TestResetCallsLeasesBack(t *testing.T) {
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			l := leased
			l.Algorithm = a
			for range 3 {
				lease(t, c, l)
				for i, k := range keys {
					require.NoError(t, c.Node(i%3).Reset(t.Context(), k, l))
				}
			}
			spendAll(t, c, l, int(l.Quota)+300, int(l.Quota))
		})
	}
}

// Where the owner is dead and nobody has noticed, who has copies resets, and it holds when the
// owner's partitions are taken over, and when it comes back.
func TestResetWithoutTheOwner(t *testing.T) {
	for _, l := range resetLimits {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			spendAll(t, c, l, int(l.Quota), int(l.Quota))
			time.Sleep(time.Second) // copies are shipped
			c.Kill(0)
			for _, k := range keys {
				require.NoError(t, c.Node(1).Reset(t.Context(), k, l))
				require.Equal(t, 30, spend(t, c, k, l, 30, 2), "%v", l)
			}
			c.Restart(0)
			c.Settle()
			for _, got := range looks(t, c, l) {
				require.EqualValues(t, l.Quota-30, got, "%v", l)
			}
		})
	}
}
