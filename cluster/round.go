package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/weir-go/weir/cluster/internal/wait"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// How a request that is another node's to decide finds somebody who does: the holder,
// then the successors, then any node that reaches one of them, and at last this node.

// takeRemote finds somebody who decides. It asks again where the partition is just
// changing hands.
func (n *Node) takeRemote(ctx context.Context, kind uint8, c *takeCall) (limiter.Decision, error) {
	r := round{n: n, ctx: ctx, kind: kind, c: c, own: true}
	if kind == wire.KindTake && n.cfg.OnForward != nil {
		r.trace = &Forwarded{Began: time.Now()}
	}
	d, err := r.finish()
	if d.Path = limiter.PathForwarded; d.Degraded {
		d.Path = limiter.PathDegraded
	}
	c.settle(d)
	if r.by != nil && kind == wire.KindTake && err == nil && !d.Allowed {
		n.remember(&r, d)
	}
	if r.trace != nil {
		r.tell(d, err)
	}
	return d, err
}

// heldUp is how much longer than the fastest an answer may have taken for its denial to be
// remembered: by so much it is not known for when it was true.
const heldUp = 100 * time.Millisecond

// remember notes a denial that the holder gave. As long as few answers of it were measured, all of
// them may have been held up, and the fastest is none.
func (n *Node) remember(r *round, d limiter.Decision) {
	oneWay, now := r.by.pace.OneWay(), n.clock.age()
	if !r.by.pace.Steady() && now-r.began >= heldUp {
		return
	}
	if at := max(r.began, now-oneWay); at-r.began < oneWay+heldUp {
		n.near.Deny(r.c.ID, &r.c.Limit, r.c.Cost, d, r.began, at, r.v.serial)
	}
}

// finish asks the holder until there is a decision, or it is clear that there will be none
// in time; then those who have copies.
func (r *round) finish() (limiter.Decision, error) {
	for {
		r.v = r.n.view.Load()
		found, err := r.askHolder()
		if err != nil || found == decided {
			return r.c.Decision, err
		}
		if found == unreachable || !r.again() {
			break
		}
	}
	if err := r.ctx.Err(); err != nil {
		return limiter.Decision{}, err
	}
	return r.askCopies()
}

// askCopies asks those who have copies, where the holder does not decide: the owner, the
// successors, then any node that reaches one of them; and at last this node decides.
func (r *round) askCopies() (limiter.Decision, error) {
	n, v, c, part := r.n, r.v, r.c, r.c.ID.Partition()
	r.extend(0, nil)
	if v.owns(part) {
		if d, ok := r.here(); ok { // it has become ours meanwhile
			return d, nil
		}
		r.extend(1, nil)
		if ok, err := r.askKnowing(); ok || err != nil {
			return c.Decision, err
		}
		return r.decideHere(n.knowsNothing(v, part)), nil
	}
	for rank := 0; rank <= n.cfg.Replicas; rank++ {
		next, mine := v.holderPeer(part, rank)
		if mine {
			r.extend(rank+1, nil)
			if ok, err := r.askOthers(wire.Failover); ok || err != nil {
				return c.Decision, err
			}
			return r.decideHere(n.knowsNothing(v, part)), nil
		}
		if next == nil || next == r.holder {
			continue
		}
		r.extend(rank+1, next) // the first one's time was the holder's
		if ok, err := r.ask(next, wire.Failover); ok || err != nil {
			return c.Decision, err
		}
	}
	if ok, err := r.askOthers(wire.Failover); ok || err != nil {
		return c.Decision, err
	}
	return r.decideHere(true), r.ctx.Err()
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
	sure bool      // who asks has waited for the holder in vain

	trace  *Forwarded    // nil unless OnForward wants it
	holder *peer         // that was asked last
	by     *peer         // the holder, if it decided
	began  time.Duration // this node's age when it was asked
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
	r.end = r.end.Add(r.n.patience(p, &r.c.Limit))
}

// ask asks one peer. ok says that it decided; an error ends the round.
func (r *round) ask(p *peer, flags uint8) (ok bool, err error) {
	n, c := r.n, r.c
	if c.cameLate() {
		return true, nil
	}
	now, timeout := time.Now(), n.patience(p, &c.Limit)
	trip := min(p.pace.Smooth(), timeout-n.cfg.CallTimeout/2) // a wire that was longer than anybody waits may be short by now
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
	if r.trace != nil {
		r.trace.add(p.name, now, flags, c.Outcome, err)
	}
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
func (r *round) askOthers(flags uint8) (ok bool, err error) {
	part, age := r.c.ID.Partition(), int64(r.n.clock.age())
	for _, p := range r.v.all {
		if p == r.holder || p.down.Load() || p.relays.paused(part, age) || r.isHolder(p, part) {
			continue
		}
		ok, err = r.ask(p, flags)
		if ok || err != nil || r.late {
			return ok, err
		}
		p.relays.pause(part, age)
	}
	return false, nil
}

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
	switch r.kind {
	case wire.KindGive:
		return limiter.Decision{}, r.n.giveHeld(r.c)
	case wire.KindReset:
		return limiter.Decision{}, r.n.resetHeld(r.ctx, r.c, r.hereBy())
	}
	d, ok := r.n.takeHere(r.ctx, r.v, r.n.awake(), r.c, r.hereBy())
	if ok {
		r.c.By = 0
	}
	return d, ok
}

// askKnowing asks those who had copies before this node became the owner, if it has none
// itself: with the owner of the time before, they are one rank further down now.
func (r *round) askKnowing() (ok bool, err error) {
	part := r.c.ID.Partition()
	if !r.n.knowsNothing(r.v, part) {
		return false, nil
	}
	for rank := 1; rank <= r.n.cfg.Replicas+1; rank++ {
		p, _ := r.v.holderPeer(part, rank)
		if p == nil || p == r.holder || p.down.Load() {
			continue
		}
		if ok, err = r.ask(p, wire.Failover); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
