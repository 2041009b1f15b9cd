package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/lease"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// What a node does about its own leases: asks for them, and gives back what it is asked
// for or cannot keep.

// askLease sends an ask to the holder of a budget, and does not wait for the slice.
func (n *Node) askLease(v *view, id ledger.ID, l limiter.Limit, a lease.Ask) {
	c, began := &wire.Lease{ID: id, Limit: l, Want: a.Want, Number: a.Number}, n.clock.age()
	p, _ := v.holderPeer(id.Partition(), 0)
	if p == nil || p.down.Load() || n.leaving.Load() {
		n.near.Failed(id, false, began)
		return
	}
	done := func(err error) {
		if err == nil {
			n.near.Heard(c, p.origin, began, n.clock.age())
			return
		}
		n.failed(p, err)
		var call *transport.CallError
		var refused transport.RemoteError
		unsent := errors.As(err, &call) && !call.Sent || errors.As(err, &refused)
		n.near.Failed(id, !unsent, n.clock.age())
	}
	if err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindLease, c, done); err != nil {
		n.near.Failed(id, false, began)
	}
}

// serveRecall answers a recall, when what was granted before it has arrived.
func (n *Node) serveRecall(t *transport.Session, id uint64, body []byte, from *session, buf []byte) ([]byte, bool, error) {
	c := &wire.Recall{}
	if err := c.ReadRequest(body); err != nil {
		return buf, true, err
	}
	wait := n.near.Recall(c, from.Origin, n.clock.age(), false)
	if wait == nil {
		return c.AppendAnswer(buf), true, nil
	}
	origin := from.Origin
	err := n.aid(from, func() {
		timer := time.NewTimer(c.Wait)
		defer timer.Stop()
		select {
		case <-wait:
		case <-timer.C:
		case <-n.ctx.Done():
		}
		n.near.Recall(c, origin, n.clock.age(), true)
		t.Answer(id, c.AppendAnswer(nil), nil) // lost with its connection
	})
	return buf, err != nil, err
}

// returnLeases puts back what this node has of the leases that pick picks. It does so in
// its own slots, which reach whoever holds the budgets now. Of a token bucket only who
// granted it can: what is to be given back there is returned.
func (n *Node) returnLeases(pick func(from ledger.Origin, a limiter.Algorithm) bool) (buckets []*takeCall) {
	age := n.clock.age()
	n.near.Abandon(age, pick, func(r lease.Rest) {
		if r.Limit.Algorithm == limiter.TokenBucket {
			buckets = append(buckets, &takeCall{Take: wire.Take{ID: r.ID, Limit: r.Limit, Cost: min(r.Left, r.Limit.Capacity())}})
			return
		}
		n.ledger.Return(r.ID, wire.Budget(&r.Limit), r.Left, n.clock.Own(age), n.clock.Own(r.Window))
	})
	return buckets
}

const givesMax = 64 // gives under way at a time while a node leaves

// giveBack makes some gives, many at a time, and returns when all have been answered or ctx
// ends.
func (n *Node) giveBack(ctx context.Context, gives []*takeCall) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(givesMax, len(gives)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(gives)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				n.takeRemote(ctx, wire.KindGive, gives[i]) // who cannot be reached keeps the tokens, until they are refilled
			}
		})
	}
	wg.Wait()
}
