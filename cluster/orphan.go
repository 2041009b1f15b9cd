package cluster

import (
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A partition is an orphan if it was taken from a holder that vanished, and that one is
// still missing: it may be on the other side of a split, and have admitted what nobody
// here knows. What was nobody's, as when a cluster forms, or came by an answer to a claim,
// is none: a crash of somebody else must not throttle it.

// orphan is whether a partition is one. Takes read it without a lock.
type orphan struct {
	since atomic.Int64 // age at which it was taken over, for cluster time may step; 0: it is none
	blind atomic.Bool  // and this node had no copies
	from  string       // from whom; guarded by Node.mu
}

const (
	blindTime = time.Second     // for the others to tell what they decided alone
	lossTime  = 4 * time.Second // for gossip to find out who else is gone
)

// orphanLocked notes from whom a partition is taken that this node begins to decide for: an
// orphan if that one is gone, and was not known to leave; 0 is nobody.
func (n *Node) orphanLocked(v *view, part int, gone tenure.Process) {
	n.seats.of[part].orphan.since.Store(0)
	from, known := n.seats.names[gone]
	if !known {
		return
	}
	// A holder that left has handed over. One whose name has another process by now did not.
	if m := n.members.Get(from); m != nil && (m.Live || m.Vanished(n.clock.age(), n.cfg.ForgetAfter)) {
		n.seats.of[part].orphan.from = from
		n.seats.of[part].orphan.blind.Store(n.knowsNothing(v, part))
		n.seats.of[part].orphan.since.Store(max(1, int64(n.clock.age())))
	}
}

// nameLocked remembers the names of processes, as long as there is room for all that live.
func (n *Node) nameLocked(v *view) {
	if n.seats.names == nil || len(n.seats.names) > namesMax {
		n.seats.names = map[tenure.Process]string{}
	}
	for _, p := range v.all {
		n.seats.names[tenure.Process(p.origin)] = p.name
	}
}

const namesMax = 4 * Partitions

// adopt ends what are no orphans any more: the last holder is back and has told what it
// admitted, or has left, or is forgotten.
func (n *Node) adopt(v *view) {
	n.mu.Lock()
	defer n.mu.Unlock()
	age, missing := n.clock.age(), map[string]bool{}
	for part := range n.seats.of {
		since := n.seats.of[part].orphan.since.Load()
		if since == 0 || age-time.Duration(since) < blindTime {
			continue
		}
		from := n.seats.of[part].orphan.from
		is, known := missing[from]
		if !known {
			m := n.members.Get(from)
			is = m != nil && (m.Vanished(age, n.cfg.ForgetAfter) ||
				m.Live && age-m.BackAt < membership.HealTime && !m.HasCaughtUp(v.table.Fingerprint()))
			missing[from] = is
		}
		if !is {
			n.seats.of[part].orphan.since.Store(0)
		}
	}
}

// caution is how much this node may admit for an orphan: for a while, one node's share.
// With SplitFull, until those have told who decided alone meanwhile, if this node has no
// copies. With SplitShare, until it is clear how many are gone, since in a split they
// vanish one by one. With a quorum nothing is unknown.
func (n *Node) caution(v *view, mode limiter.Split, part int) (s ledger.Share, ok bool) {
	since := time.Duration(n.seats.of[part].orphan.since.Load())
	if since == 0 || mode == limiter.SplitQuorum || v.sets.Whole() && (mode != limiter.SplitFull || v.caught) {
		return s, false
	}
	age, one := n.clock.age(), ledger.Share{Seen: 1, Known: v.sets.Base}
	if mode == limiter.SplitFull {
		return one, n.seats.of[part].orphan.blind.Load() && !v.caught && age-since < blindTime
	}
	return one, age-v.lossAt < lossTime
}
