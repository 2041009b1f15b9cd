package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
)

// What a node has leased of token buckets it gives back while it leaves, many at a time,
// and its lessor has it all.
func TestLeaveGivesBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 10 * time.Millisecond})
		nodes, _, _ := startTuned(t, nw, func(c *Config) { c.CallTimeout = time.Second }, "a", "b")
		time.Sleep(2 * time.Second)
		a, b := nodes[0], nodes[1]
		l := limiter.Limit{Quota: 1000, Window: 24 * time.Hour, Algorithm: limiter.TokenBucket, Lease: limiter.LeaseAlways}
		const buckets = 200
		var keys []string // a's
		for i := 0; len(keys) < buckets; i++ {
			if key := fmt.Sprint(i); holds(a, key, l) {
				keys = append(keys, key)
			}
		}
		var wg sync.WaitGroup
		for _, key := range keys {
			wg.Go(func() {
				_, err := b.Take(t.Context(), key, l, 1)
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, buckets, a.Stats().LeasedOut)
		nw.Link("a", "b", 200*time.Millisecond, 0, 0)
		left := make(chan error, 1)
		go func() { left <- b.Leave(t.Context()) }()
		time.Sleep(100 * time.Millisecond)
		require.Negative(t, b.view.Load().self, "it hands over before all calls have been answered, one after another")
		require.NoError(t, <-left)
		for _, key := range keys {
			d, err := a.Take(t.Context(), key, l, 0)
			require.NoError(t, err)
			require.EqualValues(t, l.Quota-1, d.Remaining, "key %s", key)
		}
	})
}

// A node that leaves answers the requests that it is passing on before it is gone.
func TestLeaveWaitsForWhatItPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		nodes, _, _ := startTuned(t, nw, func(c *Config) { c.CallTimeout = 8 * time.Second }, "a", "b", "c")
		time.Sleep(2 * time.Second)
		a, b, c := nodes[0], nodes[1], nodes[2]
		l := limiter.Per(10, 24*time.Hour)
		key := ""
		for i := 0; !holds(c, key, l); i++ {
			key = fmt.Sprint(i)
		}
		_, err := b.Take(t.Context(), key, l, 0) // connects
		require.NoError(t, err)
		call := &takeCall{Take: wire.Take{ID: a.id(key, &l), Limit: l, Cost: 1, Flags: wire.Relay, Left: 8 * time.Second}}
		asked, late := make(chan error, 1), a.dial("b", b.Addr()) // one that has not heard of the leave, nor of c
		defer late.Close()
		go func() {
			time.Sleep(100 * time.Millisecond)
			nw.Link("b", "c", 1500*time.Millisecond, 0, 0)
			asked <- late.Call(t.Context(), time.Now().Add(8*time.Second), wire.KindTake, call)
		}()
		require.NoError(t, b.Leave(context.Background()))
		require.NoError(t, <-asked)
		require.Equal(t, wire.Decided, call.Outcome)
		require.True(t, call.Decision.Allowed)
	})
}

// A refund that was refused was not made: somebody else is asked, and at last this node
// keeps it until it can be told.
func TestRefusedRefund(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: time.Millisecond}), "a", "b")
		time.Sleep(2 * time.Second)
		a, b, l, key := nodes[0], nodes[1], limiter.Limit{Quota: 10, Window: 24 * time.Hour, Lease: limiter.LeaseOff}, ""
		for i := 0; key == "" || !holds(b, key, l); i++ {
			key = fmt.Sprint(i)
		}
		d, err := a.Take(t.Context(), key, l, 5)
		require.NoError(t, err)
		require.True(t, d.Allowed)
		time.Sleep(time.Second) // a has a copy
		b.timed.Store(false)    // it refuses everything
		require.NoError(t, a.Give(t.Context(), key, l, 2))
		b.timed.Store(true)
		time.Sleep(time.Second)
		for _, n := range nodes {
			d, err = n.Take(t.Context(), key, l, 0)
			require.NoError(t, err)
			require.EqualValues(t, 7, d.Remaining, "at %s", n.Name())
		}
	})
}

// A "complete" whose answer got lost is repeated. Who had it and has handed the partition
// on by then does not hold it again.
func TestRepeatedComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		nodes, _, _ := startCounted(t, nw, "a", "b", "c")
		time.Sleep(2 * time.Second)
		a, b, c := nodes[0], nodes[1], nodes[2]
		repeat := func(part int) error {
			again := &wire.Complete{Part: part, Now: a.clock.now(), Term: tenure.Term{Number: 2, Holder: b.self()}}
			return a.view.Load().byName["b"].calls.Call(t.Context(), time.Now().Add(time.Second), wire.KindComplete, again)
		}
		var moved []int
		c.mu.Lock()
		for part := range Partitions {
			if (c.seats.of[part].Known() == tenure.Term{Number: 3, Holder: c.self()}) {
				moved = append(moved, part) // from a to b, and on to c
			}
		}
		c.mu.Unlock()
		require.NotEmpty(t, moved)
		for _, part := range moved {
			require.NoError(t, repeat(part))
			require.False(t, b.ledger.Held().Has(part), "two nodes hold partition %d", part)
			require.True(t, c.ledger.Held().Has(part))
		}
		b.mu.Lock()
		b.empty = true // as at the end of its Leave
		b.mu.Unlock()
		for _, part := range moved {
			require.NoError(t, repeat(part), "who has had it says so, or it would be taken back")
		}
	})
}

// A node that is closed while it leaves, as by a second signal, ends.
func TestCloseWhileLeaving(t *testing.T) {
	for after := range 40 {
		synctest.Test(t, func(t *testing.T) {
			nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: time.Millisecond}), "a", "b")
			time.Sleep(time.Second)
			left := make(chan error, 1)
			go func() { left <- nodes[1].Leave(t.Context()) }()
			time.Sleep(time.Duration(after) * 17 * time.Millisecond)
			nodes[1].Close()
			<-left
		})
	}
}
