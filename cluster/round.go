package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// How a request that is another node's to decide finds somebody who does: the holder,
// then the successors, then any node that reaches one of them, and at last this node.

// takeRemote finds somebody who decides. It asks again where the partition is just
// changing hands.
func (n *Node) takeRemote(ctx context.Context, kind uint8, c *takeCall) (limiter.Decision, error) {
	end := time.Now().Add(n.cfg.CallTimeout + n.cfg.CallTimeout/callOverhead)
	r := round{n: n, ctx: ctx, kind: kind, c: c, end: end}
	d, err := r.finish()
	if r.by != nil && kind == kindTake && err == nil {
		n.near.deny(c.id, &c.lim, c.cost, d, r.began, r.v.serial)
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
			part := c.id.Partition()
			return r.decideHere(!r.v.owns(part) || n.knowsNothing(r.v, part)), r.ctx.Err()
		}
	}
}

// decision asks the holder, then the successors, then any node that reaches one of
// them. Not ok means that the holder has just handed over, or that nobody answers.
func (r *round) decision() (d limiter.Decision, ok bool, err error) {
	n, v, c, part := r.n, r.v, r.c, r.c.id.Partition()
	holder, passing := n.holder(v, part)
	if holder != nil {
		flags := uint8(0)
		switch {
		case passing && r.told:
			flags = flagFailover // it knows who decides, or has copies
		case passing:
			flags = flagPassed
		}
		if ok, err := r.ask(holder, flags, n.cfg.CallTimeout); ok || err != nil {
			return c.d, ok, err
		}
		if d, ok := r.here(); ok { // it has become ours meanwhile
			return d, true, nil
		}
		if c.outcome == notHolder {
			r.told = true
			return d, false, nil
		}
	}
	if v.owns(part) {
		if d, ok := r.here(); ok { // it has become ours meanwhile
			return d, true, nil
		}
		if ok, err := r.askKnowing(holder); ok || err != nil {
			return c.d, ok, err
		}
		return r.decideHere(n.knowsNothing(v, part)), true, nil
	}
	for rank := 1; rank <= n.cfg.Replicas; rank++ {
		next, mine := v.holderPeer(part, rank)
		if mine {
			if ok, err := r.askOthers(holder, flagFailover); ok || err != nil {
				return c.d, ok, err
			}
			return r.decideAs(n.knowsNothing(v, part)), true, nil
		}
		if next == nil || next == holder {
			continue
		}
		left := time.Until(r.end) / time.Duration(n.cfg.Replicas-rank+1) // some for the next one
		if ok, err := r.ask(next, flagFailover, left); ok || err != nil {
			return c.d, ok, err
		}
	}
	ok, err = r.askOthers(holder, flagFailover)
	c.outcome = unreachable
	return c.d, ok, err
}

// again waits a moment where an answer told of a hand-over: the partition may come
// here, or the view may change. It says whether there is time to ask again.
func (r *round) again() bool {
	if r.c.outcome != notHolder {
		return false
	}
	next := time.Now().Add(askAgain)
	if next.After(r.end) {
		next = r.end
	}
	w := r.n.pendingOf(r.c.id.Partition())
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
	if w := n.pendingOf(part); w != nil {
		return v.byName[w.from], true
	}
	p, _ = v.holderPeer(part, 0)
	return p, false
}

// forcedShare is what may be admitted without the holder: all of the limit by a
// successor with copies, unless the limit wants its bound kept in a split that is
// perhaps just not noticed yet; one node's share by a node without copies.
func (n *Node) forcedShare(v *view, l *limiter.Limit, alone bool) limiter.Share {
	if alone || n.mode(l) != limiter.SplitFull {
		return limiter.Share{Seen: 1, Known: v.known}
	}
	return limiter.Share{}
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
		caught := n.members.hasCaughtUp(p.name, v.table.Fingerprint())
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
	end  time.Time
	told bool // that who should hold the partition does not

	blind   bool // a peer asks that should hold it and has no copies
	refused bool // whom we passed it on to does not hold it either

	by    *peer         // the holder, if it decided
	began time.Duration // this node's age when it was asked
}

// ask asks one peer. ok says that it decided; an error ends the round.
func (r *round) ask(p *peer, flags uint8, timeout time.Duration) (ok bool, err error) {
	now := time.Now()
	if left := r.end.Sub(now); left < timeout {
		if timeout = left; left < r.n.cfg.CallTimeout/16 {
			return false, nil // no time to answer: a failure would say nothing of the peer, nor of who holds
		}
	}
	r.c.flags, r.c.outcome = flags, unreachable
	began := r.n.clock.age()
	switch err := r.n.ask(r.ctx, p, now, timeout, r.kind, r.c); {
	case err == nil:
		if ok = r.c.outcome == decided; ok && flags == 0 {
			r.by, r.began = p, began
		}
		return ok, nil
	case r.ctx.Err() != nil:
		return false, r.ctx.Err()
	case r.kind == kindGive && maybeSent(err):
		r.c.outcome = decided // not twice: nor by who asked us to pass it on
		return true, nil
	}
	return false, nil
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
	part, age := r.c.id.Partition(), int64(r.n.clock.age())
	for _, p := range r.v.all {
		if p == holder || p.down.Load() || p.noRelay.Load() > age || r.isHolder(p, part) {
			continue
		}
		ok, err = r.ask(p, flags, r.n.cfg.CallTimeout/callOverhead)
		if ok || err != nil {
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
	if r.kind == kindGive {
		return limiter.Decision{}, r.n.giveHeld(r.c)
	}
	return r.n.takeHere(r.ctx, r.v, r.n.awake(), r.c.id, &r.c.lim, r.c.cost, r.c.trial)
}

// askKnowing asks those who had copies before this node became the owner, if it has none
// itself: with the owner of the time before, they are one rank further down now.
func (r *round) askKnowing(holder *peer) (ok bool, err error) {
	part := r.c.id.Partition()
	if !r.n.knowsNothing(r.v, part) {
		return false, nil
	}
	for rank := 1; rank <= r.n.cfg.Replicas+1; rank++ {
		p, _ := r.v.holderPeer(part, rank)
		if p == nil || p == holder || p.down.Load() {
			continue
		}
		if ok, err = r.ask(p, flagFailover|flagBlind, r.n.cfg.CallTimeout); ok || err != nil {
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
	return r.decide(r.n.forcedShare(r.v, &r.c.lim, alone), alone)
}

// decide decides here although another node should. What it admits is counted in
// this node's own slot, which reaches the others when it can.
func (r *round) decide(s limiter.Share, alone bool) limiter.Decision {
	n, age := r.n, r.n.clock.age()
	if r.kind == kindGive {
		n.ledger.Refund(r.c.id, r.c.lim, r.c.cost, n.clock.own(age), r.c.of)
		return limiter.Decision{}
	}
	if _, minority := r.v.share(n.mode(&r.c.lim), r.c.id.Partition(), age); minority {
		return n.minorityDecision()
	}
	d := n.ledger.Take(r.c.id, r.c.lim, r.c.cost, n.clock.own(age), s)
	if r.c.trial && d.Allowed {
		d.Window = limiter.NameWindow(r.c.id, &r.c.lim, n.clock.at(age), false)
	}
	if n.failovers.Add(1); alone {
		n.degraded.Add(1)
		d.Degraded = true
	}
	return d
}
