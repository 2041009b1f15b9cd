package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// How a budget is made whole: who holds it calls back what is leased of it, and counts in its
// own slot that nothing is taken; then all nodes forget that it was denied.

// Reset makes the budget of key under l whole in the whole cluster: nothing of it is taken any
// more, and a token bucket is full. When it returns, every node that this one reaches admits
// again; others within a second. What they have leased of the budget may be admitted besides. A
// refund of what was taken before is made all the same, as if it had been taken since. Where the
// budget's owner does not answer, those who have copies reset it; on the other side of a split
// nothing is reset, and what was taken there counts when it heals.
//
// Its errors are those of Take.
func (n *Node) Reset(ctx context.Context, key string, l limiter.Limit) error {
	if err := limiter.Check(key, l, 0); err != nil {
		return err
	}
	if err := n.usable(ctx); err != nil {
		return err
	}
	n.awake()
	id, err := n.idIn(key, &l, 0)
	if err != nil {
		return err
	}
	c := &takeCall{Take: wire.Take{ID: id, Limit: l}, node: n}
	if !n.resetHeld(ctx, c, time.Now().Add(n.patience(nil, &l))) {
		if _, err := n.takeRemote(ctx, wire.KindReset, c); err != nil {
			return err
		}
	}
	n.forgetDenials(ctx, id)
	return nil
}

// resetHeld resets what another node was asked to, or this one, if it holds the partition. By end
// it does not wait any longer for what is leased.
func (n *Node) resetHeld(ctx context.Context, c *takeCall, end time.Time) (ok bool) {
	reset := func() { ok = n.ledger.ResetHeld(c.ID, wire.Budget(&c.Limit), n.clock.ownNow()) }
	for n.ledger.Held().Has(c.ID.Partition()) && ctx.Err() == nil {
		if n.leases.Settled(c.ID, reached, reset) {
			return ok
		}
		if !time.Now().Before(end) {
			reset()
			return ok
		}
		n.recall(ctx, c.ID, end)
	}
	return false
}

// forgetDenials has all nodes forget what they remember of a budget, and waits for those that
// answer in time.
func (n *Node) forgetDenials(ctx context.Context, id ledger.ID) {
	n.near.Forget(id, n.clock.age())
	var wg sync.WaitGroup
	for _, p := range n.view.Load().all {
		if p.down.Load() {
			continue
		}
		wg.Go(func() {
			if err := p.calls.Call(ctx, time.Now().Add(n.waitFor(p)), wire.KindForget, &wire.Forget{ID: id}); err != nil && ctx.Err() == nil {
				n.failed(p, err)
			}
		})
	}
	wg.Wait()
}
