package cluster

import (
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A partition is an orphan if it was taken from a holder that vanished, and that one is
// still missing: it may be on the other side of a split, and have admitted what nobody
// here knows. What was nobody's, as when a cluster forms, or came by an answer to a claim,
// is none: a crash of somebody else must not throttle it.

// orphans are those of a node. Ages and not cluster time, which may step.
type orphans struct {
	since [ledger.Partitions]atomic.Int64 // age at which it was taken over; 0: it is none
	blind [ledger.Partitions]atomic.Bool  // and this node had no copies
	from  [ledger.Partitions]string       // from whom; guarded by Node.mu
}

const (
	blindTime = time.Second     // for the others to tell what they decided alone
	lossTime  = 4 * time.Second // for gossip to find out who else is gone
)

// takeOverLocked makes this node the one that decides for a partition, although nobody has
// handed it over. from is whose it was; empty is nobody's, or that nobody knows.
func (n *Node) takeOverLocked(v *view, part int, from string) {
	n.orphans.since[part].Store(0)
	// A holder that left has handed over. One whose name has another process by now did not.
	if m := n.members.Get(from); m != nil && (m.Live || m.Vanished(n.clock.age(), n.cfg.ForgetAfter)) {
		n.orphans.from[part] = from
		n.orphans.blind[part].Store(n.knowsNothing(v, part))
		n.orphans.since[part].Store(max(1, int64(n.clock.age())))
	}
	n.holdLocked(part)
}

// adopt ends what are no orphans any more: the last holder is back and has told what it
// admitted, or has left, or is forgotten.
func (n *Node) adopt(v *view) {
	n.mu.Lock()
	defer n.mu.Unlock()
	age, missing := n.clock.age(), map[string]bool{}
	for part := range n.orphans.since {
		since := n.orphans.since[part].Load()
		if since == 0 || age-time.Duration(since) < blindTime {
			continue
		}
		from := n.orphans.from[part]
		is, known := missing[from]
		if !known {
			m := n.members.Get(from)
			is = m != nil && (m.Vanished(age, n.cfg.ForgetAfter) ||
				m.Live && age-m.BackAt < membership.HealTime && !m.HasCaughtUp(v.table.Fingerprint()))
			missing[from] = is
		}
		if !is {
			n.orphans.since[part].Store(0)
		}
	}
}

// caution is how much this node may admit for an orphan: for a while, one node's share.
// With SplitFull, until those have told who decided alone meanwhile, if this node has no
// copies. With SplitShare, until it is clear how many are gone, since in a split they
// vanish one by one. With a quorum nothing is unknown.
func (n *Node) caution(v *view, mode limiter.Split, part int) (s ledger.Share, ok bool) {
	since := time.Duration(n.orphans.since[part].Load())
	if since == 0 || mode == limiter.SplitQuorum || v.sets.Whole() && (mode != limiter.SplitFull || v.caught) {
		return s, false
	}
	age, one := n.clock.age(), ledger.Share{Seen: 1, Known: v.sets.Base}
	if mode == limiter.SplitFull {
		return one, n.orphans.blind[part].Load() && !v.caught && age-since < blindTime
	}
	return one, age-v.lossAt < lossTime
}
