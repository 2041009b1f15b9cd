package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
)

// Hold is Take on trial: what it takes is counted at once, but until Keep or Refund
// settles it, whoever is denied because of it is told so (Decision.Tentative), and no
// node remembers that denial. It is for who takes from several budgets, all or nothing,
// and for who does not know yet whether it counts. What is not settled within two
// seconds is kept, and can still be refunded. Where the budget's owner does not decide,
// or a lease is spent, a Hold is a Take that can be refunded.
func (n *Node) Hold(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	return n.take(ctx, key, l, cost, true, nil)
}

// Keep settles a Hold: what it took is spent. w is the Window of its Decision. It does
// not wait: until the news is with who decided, denials stay tentative.
func (n *Node) Keep(key string, l limiter.Limit, cost int64, w limiter.Window) {
	if !w.Noted() || limiter.Check(key, l, cost) != nil || n.closed.Load() {
		return
	}
	id, err := n.idIn(key, &l, w)
	if err != nil {
		return
	}
	p, mine := n.view.Load().holderPeer(id.Partition(), 0)
	switch {
	case mine || n.ledger.Held().Has(id.Partition()):
		n.holds.End(id, cost)
	case p != nil && !p.down.Load():
		// Lost, it costs nothing but time: the hold ends by itself.
		_ = p.calls.Start(time.Now().Add(n.cfg.CallTimeout), wire.KindKeep, &wire.Keep{ID: id, Cost: cost}, nil)
	}
}
