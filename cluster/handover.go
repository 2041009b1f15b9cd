package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/ring"
)

// How a partition changes hands. Exactly one node holds it, that is, decides for its
// keys: normally the owner on the ring. When the ring names another owner, the
// holder ships it all slots while it goes on deciding; when hardly anything is due
// any more it stops, and in the same instant sends "complete" with the last slots on
// the connection on which it will pass on late requests. So there is always one
// holder, and it always knows everything. The owner-to-be passes requests on to the
// holder until then. Who the holder is, it finds out by asking ("claim"); if the
// holder is gone, or does not finish within a bounded time, it begins without.

// pending is a partition that this node owns and another still holds.
type pending struct {
	from  string        // the node that holds it, as far as we know
	since time.Duration // age at which the wait began, or the holder last said that it holds it
	asked time.Duration // age of the last claim; 0 is never
	hops  int           // how many nodes have sent us on
	done  chan struct{} // closed when the wait is over

	without map[string]bool // while all are asked: who knows of nobody that holds it
}

// ceded is a partition whose "complete" has not been acknowledged.
type ceded struct {
	to     *peer
	number uint64        // this node's later ones have larger numbers
	slots  []ledger.Slot // in own time
	lost   bool          // the call failed: send it again
}

// receipt is whose "complete" made this node the holder of a partition.
type receipt struct {
	from  string
	table *ring.Table // this node's at that time
	at    time.Duration
}

const (
	handoverMax = 5 * time.Second       // how long an owner waits for a sign of the holder
	bounceAfter = time.Second           // before a partition goes back to who gave it
	claimEvery  = 50 * time.Millisecond // how often it asks again
	hopsMax     = 3                     // nodes that may send a claim on
	cedeTimeout = 2 * time.Second
)

// transfer decides, for each partition, what the step from one view to the next
// means for who holds it.
func (n *Node) transfer(old, v *view) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v.aside {
		n.stepAsideLocked(v)
	}
	for part := range ledger.Partitions {
		held := n.ledger.Held().Has(part)
		w := n.pending[part]
		switch {
		case !v.owns(part):
			if w != nil {
				n.lastHolder[part] = w.from
				n.endPendingLocked(part)
			}
		case held:
		case w != nil:
			if v.byName[w.from] == nil {
				n.takeOverLocked(v, part, w.from)
			}
		default:
			from := n.holderBefore(old, v, part)
			if v.byName[from] == nil {
				n.takeOverLocked(v, part, from)
				break
			}
			n.pending[part] = &pending{from: from, since: n.clock.age(), done: make(chan struct{})}
			n.pendings.Add(1)
		}
	}
}

// holderBefore is the name of who held a partition before v: the owner in the old
// view, or for a node that is new in the cluster, who owned it without that node.
func (n *Node) holderBefore(old, v *view, part int) string {
	if n.settled.Load() {
		if name := old.ownerName(part); name != n.cfg.Name {
			return name
		}
		if name := n.lastHolder[part]; name != "" {
			return name // owned before, but never held
		}
		return ""
	}
	if i := v.table.Holder(part, 1); i >= 0 {
		return v.table.Members()[i]
	}
	return ""
}

// holdLocked makes this node the one that decides for a partition, whether or not
// the last holder has handed it over.
func (n *Node) holdLocked(part int) {
	n.ledger.Hold(part, true)
	n.lastHolder[part] = ""
	n.endPendingLocked(part)
}

func (n *Node) endPendingLocked(part int) {
	if w := n.pending[part]; w != nil {
		close(w.done)
		n.pending[part] = nil
		n.pendings.Add(-1)
	}
}

// pendingOf is what a partition waits for, or nil.
func (n *Node) pendingOf(part int) *pending {
	if n.pendings.Load() == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pending[part]
}

// pendingFrom is who holds what a partition waits for, as far as we know; "" if it waits
// for nothing.
func (n *Node) pendingFrom(part int) string {
	if n.pendings.Load() == 0 {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if w := n.pending[part]; w != nil {
		return w.from
	}
	return ""
}

// handOver does one round of what is to be done: claims for what we wait for, and
// the next step for what we hold and others own. Only the loop calls it.
func (n *Node) handOver() {
	v := n.view.Load()
	if n.leaving.Load() {
		n.tellLeaving(v)
	}
	n.claimPending(v)
	n.resend(v)
	leased := n.sweepLeases(v)
	for part := range n.ledger.Held().All() {
		if v.owns(part) || leased[part] {
			continue
		}
		to, _ := v.holderPeer(part, 0)
		if to == nil || to.down.Load() || !to.time.Agreed() || n.bounces(v, part, to.name) {
			continue
		}
		n.cede(part, to)
	}
}

// bounces says whether a partition would go back to the node that has just given it:
// that one sees another ring, and one of the two will soon be wiser. Where this node
// leaves it is the other one, and there is no time to lose.
func (n *Node) bounces(v *view, part int, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.receipts[part]
	return !n.leaving.Load() && r.from == to && r.table == v.table && n.clock.age()-r.at < bounceAfter
}

// cede gives a partition to its owner, once little enough is due.
func (n *Node) cede(part int, to *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unacked[part] != nil {
		return
	}
	n.cessions++
	c := &ceded{to: to, number: n.cessions}
	ok := n.ledger.Cede(part, wire.ShipSlots, n.clock.ownNow(), func(due []ledger.Slot) bool {
		c.slots = due
		return n.sendComplete(part, c) == nil
	})
	if ok {
		n.unacked[part] = c
		n.lastHolder[part] = to.name
	}
}

func (n *Node) sendComplete(part int, c *ceded) error {
	call := &wire.Complete{Part: part, Number: c.number}
	ahead := n.clock.Ahead()
	call.Now = n.clock.ownNow() + ahead
	for _, s := range c.slots {
		call.Slots = append(call.Slots, s.Move(ahead))
	}
	return c.to.calls.Start(time.Now().Add(cedeTimeout), wire.KindComplete, call, func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.unacked[part] != c {
			return
		}
		if err != nil {
			c.lost = true // again, but not before the loop's next beat: it may have been refused
			return
		}
		delete(n.unacked, part)
		n.kick(n.flush)
	})
}

// cededTo is the name of the node to which this one has handed a partition over,
// unless it holds it again.
func (n *Node) cededTo(part int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pending[part] != nil || n.ledger.Held().Has(part) {
		return ""
	}
	return n.lastHolder[part]
}

// resend repeats each "complete" that was lost, or takes the partition back where
// its new owner is gone.
func (n *Node) resend(v *view) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for part, c := range n.unacked {
		if !c.lost {
			continue
		}
		if v.byName[c.to.name] != c.to {
			delete(n.unacked, part)
			for _, s := range c.slots {
				n.ledger.Due(s.ID, s.Origin, allRanks)
			}
			n.takeOverLocked(v, part, c.to.name)
			continue
		}
		c.lost = n.ledger.Owes(part, 0) || n.sendComplete(part, c) != nil
	}
}

// completed takes over a partition that its holder has handed to us, with slots in this
// node's own time.
func (n *Node) completed(c *wire.Complete, from *session) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.view.Load()
	p := v.byName[from.Name]
	switch {
	case p == nil || p.origin != from.Origin:
		return errClocks // it was, when the slots were let in
	case c.Number <= p.completed[c.Part]:
		return nil // it was here, and its answer got lost: the partition may be another's by now
	case n.empty || v.aside:
		return errStopped // it stays with who tried, who will soon see that this node is gone
	}
	if p.completed == nil {
		p.completed = map[int]uint64{}
	}
	p.completed[c.Part] = c.Number
	now := n.clock.ownNow()
	for _, s := range c.Slots {
		n.ledger.Merge(s, now, allRanks)
	}
	n.orphans.since[c.Part].Store(0)
	n.holdLocked(c.Part)
	n.receipts[c.Part] = receipt{from.Name, v.table, n.clock.age()}
	if !v.owns(c.Part) {
		n.kick(n.flush) // and on to who owns it here
	}
	return nil
}

// doubt is for a node that finds that it has not run for a while, as after SIGSTOP:
// the others may have replaced it. Whatever it holds, it asks for again.
func (n *Node) doubt() {
	v := n.view.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	for part := range n.ledger.Held().All() {
		if !v.owns(part) {
			continue
		}
		i := v.table.Holder(part, 1)
		if i < 0 {
			continue
		}
		n.ledger.Hold(part, false)
		n.pending[part] = &pending{from: v.table.Members()[i], since: n.clock.age(), done: make(chan struct{})}
		n.pendings.Add(1)
	}
	n.kick(n.flush)
}

// await waits until a partition is no longer pending.
func (w *pending) await(ctx context.Context, deadline time.Time) {
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	case <-ctx.Done():
	}
}
