package cluster

import (
	"errors"
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// How a partition changes hands. Exactly one node holds it, that is, decides for its
// keys: normally the owner on the ring. When the ring names another owner, the
// holder ships it all slots while it goes on deciding; when hardly anything is due
// any more, and the owner has the same ring, it stops, and in the same instant sends
// "complete" with the last slots. So there is always one holder, and it always knows
// everything. Package tenure has the rules of who may begin.

const cedeTimeout = 2 * time.Second

// transfer tells every partition of the step from one view to the next.
func (n *Node) transfer(old, v *view) {
	n.mu.Lock()
	n.nameLocked(v)
	for part := range ledger.Partitions {
		if v.aside { // the other node of this name has it
			n.stepLocked(part, tenure.Event{Kind: tenure.Resigned})
		}
		s := n.seen(v, part)
		s.Before = n.ownerBefore(old, v, part)
		n.stepSeenLocked(v, part, &s, tenure.Event{Kind: tenure.Table})
	}
	n.mu.Unlock()
	n.sendAsks()
}

// ownerBefore is who owned a partition before v: the owner in the old view, or for a node
// that is new in the cluster, who would own it without that node.
func (n *Node) ownerBefore(old, v *view, part int) tenure.Process {
	var p *peer
	if n.settled.Load() {
		p, _ = old.holderPeer(part, 0)
	} else {
		p, _ = v.holderPeer(part, 1)
	}
	if p == nil {
		return 0
	}
	return tenure.Process(p.origin)
}

// handOver does one round of what is to be done: claims for what is waited for, and the
// next step for what this node holds and others own. Only the loop calls it.
func (n *Node) handOver() {
	v := n.view.Load()
	if n.leaving.Load() {
		n.tellLeaving(v)
	}
	n.pass()
	leased := n.sweepLeases(v)
	for part := range n.ledger.Held().All() {
		if v.owns(part) || leased[part] {
			continue
		}
		to, _ := v.holderPeer(part, 0)
		if to == nil || to.down.Load() || !to.time.Agreed() {
			continue
		}
		if to.table.Load() != v.table.Fingerprint() {
			n.askTable(v, to)
			continue
		}
		n.cede(v, part, to)
	}
}

// pass tells seats that wait for something that time has passed.
func (n *Node) pass() {
	if n.seats.waiting.Load() == 0 && n.seats.ceded.Load() == 0 {
		return
	}
	n.mu.Lock()
	for part := range n.seats.of {
		if s := n.seats.of[part].State(); s == tenure.Waiting || s == tenure.Ceded {
			n.stepLocked(part, tenure.Event{Kind: tenure.Passed})
		}
	}
	n.mu.Unlock()
	n.sendAsks()
}

// askTable asks an owner which ring it has. One that has another would send the partition
// on, or back.
func (n *Node) askTable(v *view, p *peer) {
	if p.tableAsked.Swap(true) {
		return
	}
	c := &wire.Table{}
	err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindTable, c, func(err error) {
		if err == nil && n.view.Load().table == v.table && p.table.Swap(c.Fingerprint) != c.Fingerprint {
			n.kick(n.flush)
		}
		p.tableAsked.Store(false) // and again with the next beat, if it is not ours yet
	})
	if err != nil {
		p.tableAsked.Store(false)
	}
}

// cede gives a partition to its owner, once little enough is due.
func (n *Node) cede(v *view, part int, to *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x, s := &n.seats.of[part], n.seen(v, part)
	if v != n.view.Load() || !x.MayCede(&s) {
		return
	}
	before := x.Partition
	n.ledger.Cede(part, wire.ShipSlots, n.clock.ownNow(), func(due []ledger.Slot) bool {
		x.cession = &cession{to: to, slots: due}
		c := n.stepSeenLocked(v, part, &s, tenure.Event{Kind: tenure.Ceding})
		if n.sendComplete(part, x.cession, c.Send) != nil {
			x.Partition, x.cession = before, nil
			n.turnedLocked(part, &s, tenure.Draining)
			return false
		}
		n.seats.ceded.Add(1)
		return true
	})
}

func (n *Node) sendComplete(part int, x *cession, t tenure.Term) error {
	call := &wire.Complete{Part: part, Term: t, Final: true}
	ahead := n.clock.Ahead()
	call.Now = n.clock.ownNow() + ahead
	for _, s := range x.slots {
		call.Slots = append(call.Slots, s.Move(ahead))
	}
	return x.to.calls.Start(time.Now().Add(cedeTimeout), wire.KindComplete, call, func(err error) {
		e := tenure.Event{Kind: tenure.Acknowledged, Term: t}
		var refused transport.RemoteError
		switch {
		case err == nil:
		case errors.As(err, &refused) && string(refused) == errNoHolder.Error():
			e.Kind = tenure.Denied
		default: // again, but not before the loop's next beat: it may have been refused for now
			e.Kind = tenure.Failed
		}
		n.mu.Lock()
		n.stepLocked(part, e)
		n.mu.Unlock()
		n.sendAsks()
	})
}

// completed takes over a partition that its holder has handed to us, with slots in this
// node's own time.
func (n *Node) completed(c *wire.Complete, from *session) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.view.Load()
	p := v.byName[from.Name]
	switch {
	case p == nil || p.origin != from.Origin || c.Term.Holder != n.self():
		return errClocks // it was, when the slots were let in
	case (n.empty || v.aside) && c.Term.After(n.seats.of[c.Part].Known()):
		return errStopped // it stays with who tried, who will soon see that this node is gone
	}
	e := tenure.Event{Kind: tenure.Completed, From: tenure.Process(from.Origin), Term: c.Term, Final: c.Final}
	x, s := &n.seats.of[c.Part].Partition, n.seen(v, c.Part)
	if !x.Believes(&s, e.From, c.Term) {
		if x.Contradicts(&s, e.From) {
			n.refuse(&n.refused.completes, "completes", from.Name)
		}
		n.stepSeenLocked(v, c.Part, &s, e)
		return errNoHolder
	}
	now := n.clock.ownNow()
	for _, s := range c.Slots {
		n.receive(s, from, now, allRanks)
	}
	if err := from.full(); err != nil {
		return err
	}
	if s.Owner == e.From {
		p.table.Store(0) // whatever it said: its ring names another
	}
	n.stepSeenLocked(v, c.Part, &s, e)
	return nil
}

var errNoHolder = errors.New("cluster: another node holds the partition, as far as is known here")

// doubt is for a node that finds that it has not run for a while, as after SIGSTOP:
// the others may have replaced it. Whatever it holds, it asks for again.
func (n *Node) doubt() {
	n.mu.Lock()
	for part := range n.seats.of {
		n.stepLocked(part, tenure.Event{Kind: tenure.Doubted})
	}
	n.mu.Unlock()
	n.sendAsks()
	n.kick(n.flush)
}
