package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
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
	if kind == wire.KindReset {
		return false // what is leased is called back first
	}
	if n.agrees(&c.Limit) {
		return false // the voters are asked
	}
	got := n.leases.Got()
	c.Decision, ok = n.takeOnce(n.view.Load(), n.awake(), c)
	return ok && (c.Decision.Allowed || c.Decision.Degraded || !n.leases.MayCome(c.ID, got))
}

// passOn answers later, from a goroutine of its own.
func (n *Node) passOn(t *transport.Session, id uint64, kind uint8, c takeCall, from *session, buf []byte) ([]byte, bool, error) {
	end := time.Now().Add(c.Left)
	has, asker := &n.sharesOf(from).passing, from.Hello
	if !n.waits.passing.take(has, passingMax) {
		return buf, true, errTooMany
	}
	ok := n.spawn(func() {
		defer n.waits.passing.leave(has)
		n.answerFor(kind, &c, asker, end)
		t.Answer(id, c.AppendAnswer(nil), nil) // lost with its connection
		if c.Outcome != wire.Decided {
			c.Decision = limiter.Decision{}
		}
		c.settle(c.Decision)
	})
	if !ok {
		n.waits.passing.leave(has)
		return buf, true, errStopped
	}
	return buf, false, nil
}

// answerFor finds an answer to a request for a partition that is not held here, until
// its asker does not wait any longer: then nothing is decided. Who asks for itself is told
// who holds it; for whom that does not help, the request is passed on, once.
func (n *Node) answerFor(kind uint8, c *takeCall, from wire.Hello, end time.Time) {
	if !n.begun(end) {
		c.Outcome = wire.Unreachable
		return
	}
	last := wait.Spare(c.Left, n.cfg.CallTimeout)
	r := round{n: n, ctx: n.ctx, kind: kind, c: c, end: end.Add(-last), sure: c.Flags&wire.Failover != 0}
	flags, asker := c.Flags, tenure.Process(from.Origin)
	for {
		r.v = n.view.Load()
		switch r.answer(flags, asker) {
		case decided:
			c.Outcome = wire.Decided
			return
		case moving:
			if flags&wire.Failover != 0 && r.again() {
				continue
			}
			n.name(r.v, c)
			return
		case yours:
			n.name(r.v, c)
			return
		}
		break
	}
	r.answerWithout(flags, end, last)
}

// answer looks for the holder on behalf of an asker. It is moving where the asker is to ask
// again, or somebody else; and unreachable where this node may have to decide.
//
//	who holds it, as far as this node knows     the answer
//	this node                                   its decision
//	a peer, and who asks may ask it             that one's name
//	a peer, and who asks cannot                 the peer's decision
//	the asker itself                            its name: it will find that it holds it; or a decision,
//	                                            if it asks for copies, and there are some
//	nobody knows yet                            nobody: it asks again
//	one that this node does not see or reach    this node's decision, if it has copies
func (r *round) answer(flags uint8, asker tenure.Process) found {
	n, part := r.n, r.c.ID.Partition()
	if r.unlessHere(moving) == decided {
		return decided
	}
	if flags&wire.Passed != 0 {
		return moving
	}
	p, searching := n.holder(r.v, part)
	switch {
	case searching:
		return r.searching(part)
	case p == nil:
		return unreachable
	case tenure.Process(p.origin) == asker:
		return r.answerNamed(flags, p)
	case flags == 0 && (!p.down.Load() || !r.v.owns(part)):
		return moving
	}
	r.holder = p
	if ok, _ := r.ask(p, wire.Passed); ok {
		return decided
	}
	if r.c.Outcome == wire.NotHolder {
		n.heed(part, p, r.c.Term)
		return moving
	}
	return unreachable
}

// answerNamed answers who is taken for the holder, and so is not. One that is the owner by
// the ring and has no copies asks those that had them before it came.
func (r *round) answerNamed(flags uint8, p *peer) found {
	n, part := r.n, r.c.ID.Partition()
	if owner, _ := r.v.holderPeer(part, 0); owner != p {
		n.mu.Lock() // what made this node think so is over
		n.stepLocked(part, tenure.Event{Kind: tenure.Told, From: tenure.Process(p.origin), Term: n.seats.of[part].Known()})
		n.mu.Unlock()
		return moving
	}
	if flags&wire.Failover != 0 && r.hadCopies(part) && !n.knowsNothing(r.v, part) {
		r.c.Decision = r.decideHere(false)
		return decided
	}
	return yours
}

// answerWithout answers where the holder cannot be reached, if this node has copies.
func (r *round) answerWithout(flags uint8, end time.Time, last time.Duration) {
	n, c, part := r.n, r.c, r.c.ID.Partition()
	c.Outcome = wire.Unreachable
	owns, asked := r.v.owns(part), flags&wire.Failover != 0
	if asked && n.succeeds(r.v, part) {
		if ok, _ := r.askOthers(wire.Failover); ok {
			return // the holder lives, but neither the asker nor we reach it
		}
	}
	if owns {
		r.end = end.Add(-last / 2) // so late, nobody hands it over any more
		if ok, _ := r.askKnowing(); ok {
			return
		}
	}
	if c.Outcome = wire.Unreachable; !time.Now().Before(end) {
		return
	}
	if owns || asked && n.succeeds(r.v, part) {
		c.Decision, c.Outcome = r.decideHere(n.knowsNothing(r.v, part)), wire.Decided
	}
}

// name answers that this node does not hold a partition, and who does.
func (n *Node) name(v *view, c *takeCall) {
	n.mu.Lock()
	defer n.mu.Unlock()
	part := c.ID.Partition()
	s := n.seen(v, part)
	c.Outcome, c.Decision, c.Term = wire.NotHolder, limiter.Decision{}, n.seats.of[part].Whom(&s)
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

// succeeds says whether this node has copies of a partition.
func (n *Node) succeeds(v *view, part int) bool {
	for rank := 1; rank <= n.cfg.Replicas; rank++ {
		if _, mine := v.holderPeer(part, rank); mine {
			return true
		}
	}
	return false
}
