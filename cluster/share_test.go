package cluster

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// One peer may have as many places as are left, whatever the others have.
func TestPlaces(t *testing.T) {
	const most = 60
	var x places
	var has [3]atomic.Int64
	fill := func(i int) (n int64) {
		for x.take(&has[i], most) {
			n++
		}
		require.Equal(t, n, has[i].Load())
		return n
	}
	require.EqualValues(t, most/2, fill(0))
	require.EqualValues(t, most/4, fill(1))
	require.EqualValues(t, (most/4+1)/2, fill(2))
	require.EqualValues(t, most/2+most/4+(most/4+1)/2, x.used.Load())
	for range most / 2 {
		x.leave(&has[0])
	}
	require.True(t, x.take(&has[2], most))
}

// A member asks for what must wait, as much as it can, on many connections and under many names,
// and does not take over what would end the wait: the others are answered as if it did not.
func TestOnePeerLeavesPlacesToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 200 * time.Microsecond})
		nodes, _, _ := startCounted(t, nw, "a", "b", "c")
		a, b, c := nodes[0], nodes[1], nodes[2]
		c.mu.Lock()
		c.empty = true // it takes over nothing, and so nobody decides for what it is to have
		c.mu.Unlock()
		time.Sleep(2 * time.Second)
		require.NotZero(t, a.seats.ceded.Load())
		l := limiter.Limit{Quota: 10, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		var held, nobodys string
		for i := 0; held == "" || nobodys == ""; i++ {
			key := fmt.Sprint(i)
			part := a.id(key, &l).Partition()
			a.mu.Lock()
			ceded := a.seats.of[part].cession != nil
			a.mu.Unlock()
			switch {
			case holds(a, key, l):
				held = key
			case ceded:
				nobodys = key
			}
		}
		before, late := runtime.NumGoroutine(), new(atomic.Int64)
		const names, each = 8, 400
		for i := range names {
			p, err := transport.NewPeer(c.transportConfig(), a.Addr(), func() []byte {
				h := c.hello()
				if h.Name, h.Origin = fmt.Sprint("d", i), c.origin+ledger.Origin(i); i == 0 { // its own
					h = c.hello()
				}
				return h.Encode()
			}, nil)
			require.NoError(t, err)
			defer p.Close()
			require.NoError(t, p.Call(t.Context(), time.Now().Add(time.Second), wire.KindTime, &wire.Time{}))
			for range each {
				take := &wire.Take{ID: a.id(nobodys, &l), Limit: l, Cost: 1, Flags: wire.Failover, Left: 100 * time.Millisecond}
				require.NoError(t, p.Start(time.Now().Add(3*time.Second), wire.KindTake, take, func(error) { late.Add(1) }))
			}
		}
		time.Sleep(20 * time.Millisecond)
		require.EqualValues(t, passingMax/2, a.waits.passing.used.Load(), "they wait")
		require.Less(t, runtime.NumGoroutine()-before, passingMax)
		for i := range 5 {
			began := time.Now()
			require.NoError(t, b.Reset(t.Context(), held, l)) // it waits for leases to come back, if there are any
			d, err := b.Take(t.Context(), held, l, 1)
			require.NoError(t, err)
			require.True(t, d.Allowed && !d.Degraded, "round %d: %+v", i, d)
			require.Less(t, time.Since(began), 20*time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		require.EqualValues(t, names*each, late.Load())
		require.Zero(t, a.waits.passing.used.Load())
	})
}
