package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// ErrClosed is what Take and Give return after Close or Leave.
var ErrClosed = errors.New("cluster: the node is closed")

// Take takes cost from the budget that key has under l in the whole cluster, or says
// why not and when. A cost of 0 looks and takes nothing, and is always answered by who
// decides; a denial of more may be remembered here, for a second at most where another
// node gives something back. It answers within the time that Config.CallTimeout tells,
// whatever fails; an answer marked Degraded was given without the budget's owner. It
// does not keep key.
//
// The error is one of limiter.ErrKey, ErrLimit and ErrCost for arguments that cannot
// be, ErrClosed, or the context's.
func (n *Node) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	return n.take(ctx, key, l, cost, false, nil)
}

// take is Take or Hold. Of an aligned limit the period has been found: the limit is that of the
// period, and so is the id.
func (n *Node) take(ctx context.Context, key string, l limiter.Limit, cost int64, trial bool, period *ledger.ID) (limiter.Decision, error) {
	var id ledger.ID
	if period != nil {
		id = *period
	} else if err := limiter.Check(key, l, cost); err != nil {
		return limiter.Decision{}, err
	} else if l.Align != limiter.AlignNone {
		return n.takeAligned(ctx, key, l, cost, trial)
	} else {
		id = n.id(key, &l)
	}
	if err := n.usable(ctx); err != nil {
		return limiter.Decision{}, err
	}
	v, age := n.view.Load(), n.awake()
	if n.agrees(&l) {
		return n.takeQuorum(ctx, id, l, cost, trial)
	}
	if n.ledger.Held().Has(id.Partition()) {
		got := n.leases.Got()
		d, ok := n.takeHeld(v, age, id, &l, cost, trial)
		if ok && !d.Allowed && !d.Degraded && n.leases.MayCome(id, got) {
			d, ok = n.takeRecalled(ctx, &takeCall{Take: wire.Take{ID: id, Limit: l, Cost: cost, Trial: trial}}, time.Now().Add(n.patience(nil, &l)))
		}
		if ok {
			return d, nil
		}
	}
	d, ok, ask := n.near.Take(id, &l, cost, age, v.serial)
	if ask.Want > 0 {
		n.askLease(v, id, l, ask)
	}
	if ok {
		if trial && d.Allowed {
			d.Window = n.window(id, &l, age, false)
		}
		return d, nil
	}
	number := uint64(n.forwarded.Add(1))
	if cost == 0 {
		number = 0 // nothing is counted
	}
	c := n.calls.Get().(*takeCall)
	defer n.calls.Put(c)
	*c = takeCall{Take: wire.Take{ID: id, Limit: l, Cost: cost, Trial: trial, Asker: n.origin, Number: number}, node: n, tally: n.own, uses: c.uses + 1}
	return n.takeRemote(ctx, wire.KindTake, c)
}

// takeHere is takeOnce, and where that denies, once more when all is here that can be
// called back, or at end.
func (n *Node) takeHere(ctx context.Context, v *view, age time.Duration, c *takeCall, end time.Time) (limiter.Decision, bool) {
	if n.agrees(&c.Limit) {
		if !n.ledger.Held().Has(c.ID.Partition()) {
			return limiter.Decision{}, false // who holds it asks the voters
		}
		return n.takeAgreed(ctx, c, end, func(age time.Duration) (limiter.Decision, bool) { return n.takeOnce(v, age, c) })
	}
	got := n.leases.Got()
	d, ok := n.takeOnce(v, age, c)
	if ok && !d.Allowed && !d.Degraded && n.leases.MayCome(c.ID, got) {
		return n.takeRecalled(ctx, c, end)
	}
	return d, ok
}

// Give puts cost back into the budget of key under l, never more than was taken from
// it in this window, and nothing if the window ends on the way. Where it is not
// certain that a refund was lost, it is not repeated: a budget may stay smaller, never
// become larger. Its errors are those of Take.
func (n *Node) Give(ctx context.Context, key string, l limiter.Limit, cost int64) error {
	return n.Refund(ctx, key, l, cost, 0)
}

// Refund settles a Hold: it is Give into the window that the Hold's Decision named,
// however late, as long as that window counts.
func (n *Node) Refund(ctx context.Context, key string, l limiter.Limit, cost int64, of limiter.Window) error {
	if err := limiter.Check(key, l, cost); err != nil {
		return err
	}
	if err := n.usable(ctx); err != nil {
		return err
	}
	id, err := n.idIn(key, &l, of)
	if err != nil {
		return err
	}
	age := n.awake()
	if of == 0 {
		of = n.window(id, &l, age, false)
	}
	c := n.calls.Get().(*takeCall)
	defer n.calls.Put(c)
	*c = takeCall{Take: wire.Take{ID: id, Limit: l, Cost: cost, Of: of}, node: n}
	if n.giveHeld(c) {
		return nil
	}
	_, err = n.takeRemote(ctx, wire.KindGive, c)
	n.near.Forget(id, n.clock.age())
	return err
}

// giveHeld gives back what another node was asked to, if this one holds the partition.
func (n *Node) giveHeld(c *takeCall) bool {
	ok := n.ledger.RefundHeld(c.ID, wire.Budget(&c.Limit), c.Cost, n.clock.ownNow(), c.Of)
	if ok && c.Of.Noted() {
		n.holds.End(c.ID, c.Cost)
	}
	return ok
}

func (n *Node) usable(ctx context.Context) error {
	if n.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// takeHeld decides here, at an age that awake has told, if this node holds the partition.
func (n *Node) takeHeld(v *view, age time.Duration, id ledger.ID, l *limiter.Limit, cost int64, trial bool) (limiter.Decision, bool) {
	var s ledger.Share
	if l.Split == limiter.SplitShare && !n.shares.Load() {
		n.shares.Store(true)
		n.kick(n.flush)
	}
	if !v.sets.Whole() || !v.caught || v.healing(age) {
		mode := n.mode(l)
		s = v.share(mode, id.Partition(), age)
		if one, ok := n.caution(v, mode, id.Partition()); ok {
			s = one
		}
	}
	now := n.clock.Own(age)
	if trial {
		n.holds.Begin(id, cost, now)
	}
	b := wire.Budget(l)
	d, ok := n.ledger.TakeHeld(id, b, cost, now, s)
	if trial || !d.Allowed {
		n.holds.Settle(&d, id, &b, cost, now, trial)
	}
	if d.Window != 0 { // the holds name it in own time
		d.Window = ledger.NameWindow(id, &b, n.clock.At(age), true)
	}
	return limiter.Decision(d), ok
}

// mode is how a limit behaves in a split.
func (n *Node) mode(l *limiter.Limit) limiter.Split {
	if l.Split != limiter.SplitDefault {
		return l.Split
	}
	return n.cfg.Split
}

// minorityDecision denies in the name of a quorum that is elsewhere.
func (n *Node) minorityDecision() limiter.Decision {
	n.degraded.Add(1)
	return limiter.Decision{Degraded: true, Path: limiter.PathDegraded, RetryAfter: time.Second, ResetAfter: time.Second}
}
