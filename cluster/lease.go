package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/lease"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// What a node does about what it has leased to others; ask.go is about what others have
// leased to it. Package lease has the rules.

// grant hands a slice to a peer that asks for it. In doubt, every take is decided by itself.
func (n *Node) grant(c *wire.Lease, from wire.Hello) {
	v, age := n.view.Load(), n.awake()
	p := v.byName[from.Name]
	if p == nil || p.origin != from.Origin || n.agrees(&c.Limit) || !v.owns(c.ID.Partition()) || n.leaving.Load() ||
		!v.sets.Whole() || !v.caught || v.healing(age) {
		return
	}
	n.leases.Grant(n.ledger, c, p, v.seen, age, n.clock.Own(age))
}

// takeRecalled takes once more from a budget held here that was just denied, when what
// is handed out of it has come back, or at end at the latest.
func (n *Node) takeRecalled(ctx context.Context, c *takeCall, end time.Time) (d limiter.Decision, ok bool) {
	for {
		waited := n.recall(ctx, c.ID, end)
		got := n.leases.Got()
		d, ok = n.takeOnce(n.view.Load(), n.awake(), c)
		if !ok || d.Allowed || d.Degraded || !waited && n.leases.Got() == got || !time.Now().Before(end) || ctx.Err() != nil {
			return d, ok
		}
	}
}

// recall calls back what is handed out of a budget, and waits until it is there or end.
// It returns false if there is nothing to wait for.
func (n *Node) recall(ctx context.Context, id ledger.ID, end time.Time) bool {
	n.sendRecalls(n.leases.Recall(id, reached, n.clock.age()))
	back := n.leases.Back(id)
	if back == nil {
		return false
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-back:
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

func reached(p *peer) bool { return !p.down.Load() }

func (n *Node) sendRecalls(calls []lease.Call[*peer]) {
	for _, x := range calls {
		// What is on its way to the lessee takes as long as this call itself.
		c, p := &wire.Recall{ID: x.ID, Number: x.Number, Wait: n.waitFor(x.To)}, x.To
		err := p.calls.Start(time.Now().Add(c.Wait+p.pace.Smooth()), wire.KindRecall, c, func(err error) {
			if err != nil {
				n.failed(p, err)
				n.leases.Unanswered(x)
				return
			}
			n.leases.Returned(n.ledger, x, c.Left, c.Lost, n.clock.ownNow())
			if !n.view.Load().owns(x.ID.Partition()) {
				n.kick(n.flush) // perhaps it can be handed over now
			}
		})
		if err != nil {
			n.leases.Unanswered(x)
		}
	}
}

// sweepLeases calls back what is idle or must not stay out. It returns the partitions in
// which something is out. Only the loop calls it.
func (n *Node) sweepLeases(v *view) (out map[int]bool) {
	age := n.clock.age()
	out, calls := n.leases.Sweep(lease.Sight[*peer]{
		Owned:   v.owns,
		Known:   func(p *peer) bool { return v.byName[p.name] == p },
		Leaving: func(p *peer) bool { return v.table.Index(p.name) < 0 },
		Reached: reached,
	}, age, n.clock.Own(age))
	n.sendRecalls(calls)
	return out
}
