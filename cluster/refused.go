package cluster

import (
	"sync/atomic"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
)

// What other members said and this node did not believe: who holds the secret is trusted with
// counts, and with nothing else.

// Refused counts what members said that cannot be so, and that changed nothing here. All of it
// is 0 where every node runs weir, with rare exceptions that the fields name.
type Refused struct {
	// Slots are counts that no process can have made: of another origin's than could be, of
	// windows that no limit has, or of this node's own that it never counted.
	Slots int64
	// Origins are counts of processes that nobody knows, from a member that has told of a quarter of
	// all that a node can tell apart.
	Origins int64
	// Rosters are nodes that one member alone calls missing: they make nobody's share smaller. Where
	// it is right others say so soon, and then they count.
	Rosters int64
	// ClockSteps are clocks that differ from cluster time by more than drift explains, and that were
	// not followed, since more nodes have this one's time. A machine that was suspended makes one.
	ClockSteps int64
	// Goodbyes are of processes that say themselves that they stay.
	Goodbyes int64
	// Completes are partitions that were handed over by who did not hold them, as far as this
	// node knew. One that did, before that was known here, says so again.
	Completes int64
}

// refusals are the counters of Refused.
type refusals struct{ slots, completes, goodbyes, clockSteps, rosters, origins atomic.Int64 }

// read reads the counters.
func (r *refusals) read() Refused {
	return Refused{Slots: r.slots.Load(), Completes: r.completes.Load(), Goodbyes: r.goodbyes.Load(),
		ClockSteps: r.clockSteps.Load(), Rosters: r.rosters.Load(), Origins: r.origins.Load()}
}

// refuse counts something that a peer said, and tells an operator once in a while.
func (n *Node) refuse(count *atomic.Int64, what, peer string) {
	count.Add(1)
	n.logs.Once("refused "+what+" "+peer, func() {
		n.log.Warn("refused what a member said: it cannot be", "what", what, "peer", peer)
	})
}

// hearGhost is for news of a missing node that this one does not believe.
func (n *Node) hearGhost(teller string) { n.refuse(&n.refused.rosters, "rosters", teller) }

// introducedMost is how many processes that nobody knows a peer may tell of, once half of all
// that there can be are in use: so one peer keeps nobody else out.
const introducedMost = ledger.OriginsMost / 4

// introduces says whether a peer may tell of the processes that a slot names. Normally it is its
// own, or one that is known.
func (n *Node) introduces(s *ledger.Slot, from *session) bool {
	if s.Origin == from.Origin && len(s.Knows) == 0 {
		return true
	}
	v := n.view.Load()
	p := v.byName[from.Name]
	if p == nil || p.origin != from.Origin {
		return true // it has left just now
	}
	known := func(o ledger.Origin) bool {
		return o == from.Origin || v.byProcess[tenure.Process(o)] != nil || n.ledger.HasOrigin(o) ||
			p.introduced.Add(1) <= introducedMost || n.ledger.Origins() < ledger.OriginsMost/2
	}
	if !known(s.Origin) {
		return false
	}
	for _, k := range s.Knows {
		if !known(k.Origin) {
			return false
		}
	}
	return true
}

// receive joins a slot that a peer sent, in this node's own time.
func (n *Node) receive(s ledger.Slot, from *session, now int64, mask uint8) {
	switch {
	case !n.introduces(&s, from):
		n.refuse(&n.refused.origins, "processes", from.Name)
	case !n.doubtCopy(&s, from):
		from.over = true
	case n.ledger.Receive(s, now, mask) == ledger.Refused:
		n.refuse(&n.refused.slots, "counts", from.Name)
	}
}
