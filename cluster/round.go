package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/weir-go/weir/cluster/internal/wait"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// How a request that is another node's to decide finds somebody who does: the holder,
// then the successors, then any node that reaches one of them, and at last this node.

// takeRemote finds somebody who decides. It asks again where the partition is just
// changing hands.
func (n *Node) takeRemote(ctx context.Context, kind uint8, c *takeCall) (limiter.Decision, error) {
	r := round{n: n, ctx: ctx, kind: kind, c: c, own: true}
	d, err := r.finish()
	c.settle(d)
	if r.by != nil && kind == wire.KindTake && err == nil && !d.Allowed {
		at := max(r.began, n.clock.age()-r.by.pace.OneWay()) // it may have been held up on its way
		n.near.Deny(c.ID, &c.Limit, c.Cost, d, r.began, at, r.v.serial)
	}
	return d, err
}

// finish goes through rounds until there is a decision.
func (r *round) finish() (limiter.Decision, error) {
	n, c := r.n, r.c
	for {
		r.v = n.view.Load()
		d, ok, err := r.decision()
		if ok || err != nil {
			return d, err
		}
		if !r.again() {
			part := c.ID.Partition()
			return r.decideHere(!r.v.owns(part) || n.knowsNothing(r.v, part)), r.ctx.Err()
		}
	}
}

// decision asks the holder, then the successors, then any node that reaches one of
// them. Not ok means that the holder has just handed over, or that nobody answers.
func (r *round) decision() (d limiter.Decision, ok bool, err error) {
	n, v, c, part := r.n, r.v, r.c, r.c.ID.Partition()
	holder, passing := n.holder(v, part)
	if holder != nil {
		flags := uint8(0)
		switch {
		case passing && r.told:
			flags = wire.Failover // it knows who decides, or has copies
		case passing:
			flags = wire.Passed
		}
		r.extend(0, holder)
		if ok, err := r.ask(holder, flags); ok || err != nil {
			return c.Decision, ok, err
		}
		if d, ok := r.here(); ok { // it has become ours meanwhile
			return d, true, nil
		}
		if c.Outcome == wire.NotHolder {
			r.told = true
			return d, false, nil
		}
	}
	r.extend(0, nil)
	if v.owns(part) {
		if d, ok := r.here(); ok { // it has become ours meanwhile
			return d, true, nil
		}
		if ok, err := r.askKnowing(holder); ok || err != nil {
			return c.Decision, ok, err
		}
		return r.decideHere(n.knowsNothing(v, part)), true, nil
	}
	for rank := 1; rank <= n.cfg.Replicas; rank++ {
		next, mine := v.holderPeer(part, rank)
		if mine {
			r.extend(rank, nil)
			if ok, err := r.askOthers(holder, wire.Failover); ok || err != nil {
				return c.Decision, ok, err
			}
			return r.decideAs(n.knowsNothing(v, part)), true, nil
		}
		if next == nil || next == holder {
			continue
		}
		r.extend(rank, next)
		if ok, err := r.ask(next, wire.Failover); ok || err != nil {
			return c.Decision, ok, err
		}
	}
	ok, err = r.askOthers(holder, wire.Failover)
	c.Outcome = wire.Unreachable
	return c.Decision, ok, err
}

// again waits a moment where an answer told of a hand-over: the partition may come
// here, or the view may change. It says whether there is time to ask again.
func (r *round) again() bool {
	if r.c.Outcome != wire.NotHolder {
		return false
	}
	next := time.Now().Add(askAgain)
	if next.After(r.end) {
		next = r.end
	}
	w := r.n.pendingOf(r.c.ID.Partition())
	if w == nil {
		w = &pending{}
	}
	w.await(r.ctx, next)
	return r.ctx.Err() == nil && time.Now().Before(r.end)
}

const askAgain = 2 * time.Millisecond // while a partition changes hands

// holder is the peer that is asked first for a partition, nil if that is this node.
// passing says that this node owns it already and passes the request on.
func (n *Node) holder(v *view, part int) (p *peer, passing bool) {
	if from := n.pendingFrom(part); from != "" {
		return v.byName[from], true
	}
	p, _ = v.holderPeer(part, 0)
	return p, false
}

// forcedShare is what may be admitted without the holder: all of the limit by a
// successor with copies, unless the limit wants its bound kept in a split that is
// perhaps just not noticed yet; one node's share by a node without copies.
func (n *Node) forcedShare(v *view, l *limiter.Limit, alone bool) ledger.Share {
	if alone || n.mode(l) != limiter.SplitFull {
		return ledger.Share{Seen: 1, Known: v.sets.Base}
	}
	return ledger.Share{}
}

// knowsNothing says whether this node may have no copies of a partition: not all others
// that answer have sent yet what is due by this view's table, or none answers; and by the
// last table by which all had, nothing of that partition was due.
func (n *Node) knowsNothing(v *view, part int) bool {
	if v.caught {
		return false
	}
	if t := n.informed.Load(); t != nil {
		for rank := range n.cfg.Replicas + 1 {
			if i := t.Holder(part, rank); i >= 0 && t.Members()[i] == n.cfg.Name {
				return false
			}
		}
	}
	told := false
	for _, p := range v.all {
		caught := n.members.HasCaughtUp(p.name, v.table.Fingerprint())
		if !caught && !p.down.Load() {
			return true
		}
		told = told || caught
	}
	return !told
}

// round is one request on its way from node to node.
type round struct {
	n    *Node
	ctx  context.Context
	v    *view
	kind uint8
	c    *takeCall
	end  time.Time // of all asking and waiting
	rank int       // ranks that have been given their time
	own  bool      // the request is this node's own
	late bool      // no answer could be here in time any more
	told bool      // that who should hold the partition does not
	sure bool      // who asks has waited for the holder in vain

	blind   bool // a peer asks that should hold it and has no copies
	refused bool // whom we passed it on to does not hold it either

	by    *peer         // the holder, if it decided
	began time.Duration // this node's age when it was asked
}

// extend gives the round the time of one more peer that must be asked: of who holds, and
// then of each successor; where that is this node, or nobody, p is nil. So a request ends
// when each of them has had as much as it may need, and whoever else is asked has what
// they leave.
func (r *round) extend(rank int, p *peer) {
	if r.rank > rank {
		return
	}
	r.rank = rank + 1
	now := time.Now()
	if r.end.Before(now) {
		r.end = now
	}
	r.end = r.end.Add(r.n.patience(p))
}

// ask asks one peer. ok says that it decided; an error ends the round.
func (r *round) ask(p *peer, flags uint8) (ok bool, err error) {
	n, c := r.n, r.c
	if c.cameLate() {
		return true, nil
	}
	now, trip, timeout := time.Now(), p.pace.Smooth(), n.patience(p)
	if left := r.end.Sub(now); left < timeout {
		timeout = left
	}
	if r.late = timeout <= trip; r.late {
		return false, nil
	}
	c.Flags, c.Outcome, c.Left = flags, wire.Unreachable, timeout-trip
	c.Self, c.node, c.to, c.asked = n.origin, n, p, now
	if !p.calls.Connected() {
		c.asked = time.Time{}
	}
	began := n.clock.age()
	fair := timeout >= n.waitFor(p)
	err = n.ask(r.ctx, p, now.Add(timeout), fair, r.kind, c)
	if !fair && r.sure && errors.Is(err, transport.ErrTimeout) && p.calls.LastHeard().Before(now) {
		n.failed(p, err) // so others found as well
	}
	switch {
	case err == nil:
		r.answered(p)
		if ok = c.Outcome == wire.Decided; ok && flags == 0 {
			r.by, r.began = p, began
		}
		return ok, nil
	case r.ctx.Err() != nil:
		return false, r.ctx.Err()
	case r.kind == wire.KindGive && maybeSent(err):
		c.Outcome = wire.Decided // not twice: nor by who asked us to pass it on
		return true, nil
	}
	return false, nil
}

// answered notes who decided, and now and then how long that took, unless it was to be
// connected first.
func (r *round) answered(p *peer) {
	c := r.c
	if c.named(); c.By != 0 {
		return
	}
	c.By = p.origin
	if (c.uses%wait.SampleEvery == 0 || !p.pace.Steady()) && !c.asked.IsZero() {
		r.n.measured(p, time.Since(c.asked))
	}
}

// maybeSent says whether a peer may have done what it was asked. One that refuses has not.
func maybeSent(err error) bool {
	var call *transport.CallError
	var refused transport.RemoteError
	return errors.As(err, &call) && call.Sent && !errors.As(err, &refused)
}

// askOthers asks nodes that are neither the holder nor a successor: perhaps just our
// link to those is dead.
func (r *round) askOthers(holder *peer, flags uint8) (ok bool, err error) {
	part, age := r.c.ID.Partition(), int64(r.n.clock.age())
	for _, p := range r.v.all {
		if p == holder || p.down.Load() || p.noRelay.Load() > age || r.isHolder(p, part) {
			continue
		}
		ok, err = r.ask(p, flags)
		if ok || err != nil || r.late {
			return ok, err
		}
		p.noRelay.Store(age + int64(relayPause))
	}
	return false, nil
}

const relayPause = 500 * time.Millisecond

func (r *round) isHolder(p *peer, part int) bool {
	for rank := range r.n.cfg.Replicas + 1 {
		if q, _ := r.v.holderPeer(part, rank); q == p {
			return true
		}
	}
	return false
}

// here decides if this node holds the partition.
func (r *round) here() (limiter.Decision, bool) {
	if r.kind == wire.KindGive {
		return limiter.Decision{}, r.n.giveHeld(r.c)
	}
	d, ok := r.n.takeHere(r.ctx, r.v, r.n.awake(), r.c, r.hereBy())
	if ok {
		r.c.By = 0
	}
	return d, ok
}

// askKnowing asks those who had copies before this node became the owner, if it has none
// itself: with the owner of the time before, they are one rank further down now.
func (r *round) askKnowing(holder *peer) (ok bool, err error) {
	part := r.c.ID.Partition()
	if !r.n.knowsNothing(r.v, part) {
		return false, nil
	}
	for rank := 1; rank <= r.n.cfg.Replicas+1; rank++ {
		p, _ := r.v.holderPeer(part, rank)
		if p == nil || p == holder || p.down.Load() {
			continue
		}
		if ok, err = r.ask(p, wire.Failover|wire.Blind); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// decideHere decides as the holder, if this node has become that meanwhile, or else as
// decideAs does.
func (r *round) decideHere(alone bool) limiter.Decision {
	if d, ok := r.here(); ok {
		return d
	}
	return r.decideAs(alone)
}

// decideAs decides with copies, or alone.
func (r *round) decideAs(alone bool) limiter.Decision {
	return r.decide(r.n.forcedShare(r.v, &r.c.Limit, alone), alone)
}

// decide decides here although another node should. What it admits is counted in
// this node's own slot, which reaches the others when it can.
func (r *round) decide(s ledger.Share, alone bool) limiter.Decision {
	n, c, age := r.n, r.c, r.n.clock.age()
	if r.kind == wire.KindGive {
		n.ledger.Refund(c.ID, wire.Budget(&c.Limit), c.Cost, n.clock.Own(age), c.Of)
		return limiter.Decision{}
	}
	if c.cameLate() {
		return c.Decision
	}
	c.By = 0
	if n.agrees(&c.Limit) {
		n.failovers.Add(1)
		d, _ := n.takeAgreed(r.ctx, c, r.agreeBy(), func(age time.Duration) (limiter.Decision, bool) {
			return n.takeForced(c, age, ledger.Share{}), true
		})
		return d
	}
	d := n.takeForced(c, age, s)
	if n.failovers.Add(1); alone {
		n.degraded.Add(1)
		d.Degraded = true
	}
	return d
}

// hereBy is until when this node may decide what it holds.
func (r *round) hereBy() time.Time {
	if r.n.agrees(&r.c.Limit) {
		return r.agreeBy()
	}
	return r.end
}

// agreeBy is until when the voters may be asked. Where the round is this node's own, all its
// time may be over by now.
func (r *round) agreeBy() time.Time {
	by := time.Now().Add(r.n.patience(nil))
	if r.own && by.After(r.end) {
		return by
	}
	return r.end
}
