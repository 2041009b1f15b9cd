package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wait"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// How a node answers takes that peers send it: at once where it holds the partition, else
// from a goroutine that passes them on, or decides where nobody else can.

// serveHeld answers where this node holds the partition, and need not call anything
// back first.
func (n *Node) serveHeld(kind uint8, c *takeCall) (ok bool) {
	if !n.settled.Load() {
		return false
	}
	if kind == wire.KindGive {
		return n.giveHeld(c)
	}
	if n.agrees(&c.Limit) {
		return false // the voters are asked
	}
	got := n.leases.Got()
	c.Decision, ok = n.takeOnce(n.view.Load(), n.awake(), c)
	return ok && (c.Decision.Allowed || c.Decision.Degraded || !n.leases.MayCome(c.ID, got))
}

// passOn answers later, from a goroutine of its own.
func (n *Node) passOn(t *transport.Session, id uint64, kind uint8, c takeCall, from wire.Hello, buf []byte) ([]byte, bool, error) {
	end := time.Now().Add(c.Left)
	ok := n.passing.Add(1) <= passingMax && n.spawn(func() {
		defer n.passing.Add(-1)
		n.answerFor(kind, &c, from, end)
		t.Answer(id, c.AppendAnswer(nil), nil) // lost with its connection
		if c.Outcome != wire.Decided {
			c.Decision = limiter.Decision{}
		}
		c.settle(c.Decision)
	})
	if !ok {
		n.passing.Add(-1)
		return buf, true, errTooMany
	}
	return buf, false, nil
}

// answerFor finds an answer to a request for a partition that is not held here, until
// its asker does not wait any longer: then nothing is decided. One that was passed on
// already is not passed on again.
func (n *Node) answerFor(kind uint8, c *takeCall, from wire.Hello, end time.Time) {
	if !n.begun(end) {
		c.Outcome = wire.Unreachable
		return
	}
	part, flags := c.ID.Partition(), c.Flags
	last := wait.Spare(c.Left, n.cfg.CallTimeout)
	r := round{n: n, ctx: n.ctx, kind: kind, c: c, end: end.Add(-last), told: flags&wire.Failover != 0, sure: flags&wire.Failover != 0, blind: flags&wire.Blind != 0}
	for {
		r.v = n.view.Load()
		if flags&wire.Passed != 0 {
			n.answerPassed(&r, part)
			return
		}
		if n.answerHere(&r, part, from) {
			return
		}
		if !r.again() {
			break
		}
	}
	d, ok := r.here()
	if !ok && flags&wire.Failover != 0 && n.succeeds(r.v, part) {
		holder, _ := n.holder(r.v, part)
		if ok, _ := r.askOthers(holder, wire.Failover); ok {
			return // the holder lives, but neither the asker nor we reach it
		}
	}
	coming := n.pendingOf(part) != nil && c.Outcome == wire.NotHolder
	if !ok && !coming && r.v.owns(part) {
		r.end = end.Add(-last / 2) // so late, nobody hands it over any more
		holder, _ := n.holder(r.v, part)
		if ok, _ := r.askKnowing(holder); ok {
			return
		}
	}
	if !ok && !coming && time.Now().Before(end) && (r.v.owns(part) || n.succeeds(r.v, part)) {
		d, ok = r.decideAs(n.knowsNothing(r.v, part)), true
	}
	switch c.Decision = d; {
	case ok:
		c.Outcome = wire.Decided
	case !coming:
		c.Outcome = wire.Unreachable
	}
}

// begun waits for this node's start, and says whether it was in time.
func (n *Node) begun(end time.Time) bool {
	if n.settled.Load() {
		return true
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-n.started:
		return true
	case <-timer.C:
	case <-n.ctx.Done():
	}
	return false
}

// answerHere passes a request on to the partition's holder, or says that the asker is
// it. Not ok means that this node may have to decide, perhaps after a hand-over.
func (n *Node) answerHere(r *round, part int, from wire.Hello) (ok bool) {
	if r.c.Decision, ok = r.here(); ok {
		r.c.Outcome = wire.Decided
		return true
	}
	holder, passing := n.holder(r.v, part)
	switch {
	case holder == nil:
		r.c.Outcome = wire.Unreachable
		return false
	case holder.name != from.Name:
	case n.pendingOf(part) != nil && holder.origin != from.Origin:
		r.c.Outcome = wire.Unreachable // the one from which it was to come is gone: a new process has its name
		return false
	case n.pendingOf(part) != nil:
		r.c.Outcome = wire.NotHolder // nor is the asker: somebody else still has it
		return false
	case holder.origin != from.Origin: // the asker is a new process, which knows nothing yet
		if r.c.Outcome = wire.Unreachable; !n.succeeds(r.v, part) {
			return false
		}
		r.c.Outcome = wire.Decided
		r.c.Decision = r.decideAs(n.knowsNothing(r.v, part))
		return true
	case r.blind && r.hadCopies(part) && !n.knowsNothing(r.v, part):
		r.c.Outcome = wire.Decided // the asker cannot be the holder, whatever we think
		r.c.Decision = r.decideAs(false)
		return true
	case n.cededTo(part) == from.Name:
		r.c.Outcome = wire.NotHolder // "complete" is on its way to the asker, or was there first
		return true
	default:
		// Each takes the other for the holder. Told so, the asker will find that it is;
		// or else its "complete" is late, and only if it does not come must we decide.
		r.c.Outcome = wire.NotHolder
		return r.told
	}
	flags := uint8(wire.Passed)
	if r.refused && passing {
		flags = wire.Failover // it knows who decides, or has copies
	}
	ok, _ = r.ask(holder, flags)
	r.refused = r.c.Outcome == wire.NotHolder
	return ok
}

// hadCopies says whether this node had copies of a partition before somebody new came to
// own it.
func (r *round) hadCopies(part int) bool {
	for rank := 1; rank <= r.n.cfg.Replicas+1; rank++ {
		if _, mine := r.v.holderPeer(part, rank); mine {
			return true
		}
	}
	return false
}

// answerPassed answers where the request has landed: if the partition is on its way
// here, when it has come; not at all if it is another's.
func (n *Node) answerPassed(r *round, part int) {
	if w := n.pendingOf(part); w != nil {
		w.await(n.ctx, r.end)
	}
	d, ok := r.here()
	if !ok && r.v.owns(part) && n.pendingOf(part) == nil {
		d, ok = r.decideAs(false), true
	}
	if r.c.Outcome, r.c.Decision = wire.Decided, d; !ok {
		r.c.Outcome = wire.NotHolder
	}
}

// succeeds says whether this node has copies of a partition.
func (n *Node) succeeds(v *view, part int) bool {
	for rank := 1; rank <= n.cfg.Replicas; rank++ {
		if _, mine := v.holderPeer(part, rank); mine {
			return true
		}
	}
	return false
}
