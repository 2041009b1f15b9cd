package cluster

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
)

// What this node is for each partition: package tenure has the states and the rules, and
// here they are told what happens, and what they command is done.

// seats are all partitions. Node.mu guards them.
type seats struct {
	of      [ledger.Partitions]seat
	asks    []ask                     // claims that the last steps want sent
	late    int                       // partitions that were begun without a holder that lives, since it was logged
	names   map[tenure.Process]string // of processes that this node has seen, the gone ones too
	waiting atomic.Int32              // seats in state Waiting
	ceded   atomic.Int32              // seats with a cession

	// whom is who is to be asked for a partition: 0 is its owner by the ring, this node
	// itself means that nobody is known yet. For takes, which have no lock.
	whom [ledger.Partitions]atomic.Uint64
}

// seat is one partition.
type seat struct {
	tenure.Partition
	cession *cession      // whose "complete" has not been acknowledged
	moved   chan struct{} // closed when it is not waited for any more; nil if nobody waits
	orphan  orphan
}

// cession is a partition on its way to its next holder.
type cession struct {
	to    *peer
	slots []ledger.Slot // in own time
}

// ask is a claim to be sent.
type ask struct {
	to     tenure.Process
	search uint32
	about  wire.Asked
}

// seen is what a node with view v sees for a partition.
func (n *Node) seen(v *view, part int) tenure.Seen {
	s := tenure.Seen{Self: n.self(), Others: v.others, Now: n.clock.age()}
	if p, _ := v.holderPeer(part, 0); p != nil {
		s.Owner = tenure.Process(p.origin)
	} else if v.owns(part) {
		s.Owner = s.Self
	}
	return s
}

func (n *Node) self() tenure.Process { return tenure.Process(n.origin) }

// stepLocked has a seat see an event, and does what it commands; claims wait for sendAsks. What
// it sees is the view of now: of an older one it would not be told again that it is over.
func (n *Node) stepLocked(part int, e tenure.Event) tenure.Commands {
	v := n.view.Load()
	s := n.seen(v, part)
	return n.stepSeenLocked(v, part, &s, e)
}

func (n *Node) stepSeenLocked(v *view, part int, s *tenure.Seen, e tenure.Event) tenure.Commands {
	x := &n.seats.of[part]
	was := x.State()
	c := x.Step(s, e)
	switch {
	case c.Hold:
		n.beginLocked(v, part, c)
	case c.Drop:
		n.ledger.Hold(part, false)
	}
	if c.Return {
		for _, slot := range x.cession.slots {
			n.ledger.Due(slot.ID, slot.Origin, allRanks)
		}
	}
	if c.Return || c.Forget {
		x.cession = nil
		n.seats.ceded.Add(-1)
		n.kick(n.flush)
	}
	if c.Send != (tenure.Term{}) && e.Kind != tenure.Ceding { // again; what became due meanwhile goes first
		if p := v.byProcess[c.Send.Holder]; p != nil {
			x.cession.to = p // it was lost from sight, and is back
		}
		if n.ledger.Owes(part, 0) || n.sendComplete(part, x.cession, c.Send) != nil {
			x.Step(s, tenure.Event{Kind: tenure.Failed, Term: c.Send})
		}
	}
	for _, to := range c.Ask {
		about := wire.Asked{Part: part}
		about.Known, about.Held, about.Top = x.Claim()
		n.seats.asks = append(n.seats.asks, ask{to, c.Search, about})
	}
	n.turnedLocked(part, s, was)
	return c
}

// turnedLocked tells takes what a seat has become.
func (n *Node) turnedLocked(part int, s *tenure.Seen, was tenure.State) {
	x := &n.seats.of[part]
	if is := x.State(); was != is {
		if is == tenure.Waiting {
			n.seats.waiting.Add(1)
		}
		if was == tenure.Waiting {
			n.seats.waiting.Add(-1)
			if x.moved != nil {
				close(x.moved)
				x.moved = nil
			}
		}
	}
	whom := uint64(0)
	switch t := x.Whom(s); {
	case x.State().Decides():
	case t.Holder == 0 && s.Owner == s.Self:
		whom = uint64(s.Self)
	case t.Holder != s.Owner:
		whom = uint64(t.Holder)
	}
	n.seats.whom[part].Store(whom)
}

// beginLocked makes this node the one that decides for a partition.
func (n *Node) beginLocked(v *view, part int, c tenure.Commands) {
	n.orphanLocked(v, part, c.Gone)
	n.ledger.Hold(part, true)
	if c.Late {
		n.seats.late++
	}
	if !v.owns(part) {
		n.kick(n.flush) // and on to who owns it here
	}
}

// stuck says whether this node cannot find out who decides for a partition: those that may
// know do not answer.
func (n *Node) stuck(v *view, part int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.seen(v, part)
	left := n.seats.of[part].Unasked(&s)
	return len(left) > 0 && !slices.ContainsFunc(left, func(x tenure.Process) bool {
		p := v.byProcess[x]
		return p != nil && !p.down.Load()
	})
}

// await waits until a partition is not waited for any more, but not for longer than until a
// time.
func (n *Node) await(ctx context.Context, part int, until time.Time) {
	var moved chan struct{}
	n.mu.Lock()
	if x := &n.seats.of[part]; x.State() == tenure.Waiting {
		if x.moved == nil {
			x.moved = make(chan struct{})
		}
		moved = x.moved
	}
	n.mu.Unlock()
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-moved:
	case <-t.C:
	case <-ctx.Done():
	}
}
