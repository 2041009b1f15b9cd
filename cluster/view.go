package cluster

import (
	"slices"
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// view is what a node believes about the cluster at one time. It never changes; a
// take reads one and needs no lock.
type view struct {
	table     *ring.Table
	self      int              // this node's index in the table, -1 while it leaves
	aside     bool             // another node has this one's name: see contest.go
	peers     []*peer          // by index in the table; nil at self
	byName    map[string]*peer // those and the leaving ones
	all       []*peer          // the values of byName, in the order of names
	others    []tenure.Process // which they are
	byProcess map[tenure.Process]*peer
	seen      int             // living members, this node among them
	sets      membership.Size // for what this node owns
	before    membership.Size // for what another owns and this node still decides for
	caught    bool            // all peers have sent what is due by this table
	serial    uint32          // views are numbered
	lossAt    time.Duration   // age at which a node vanished last
	backAt    time.Duration   // age at which one came back last; 0 if none did
	cutAt     time.Duration   // age at which fewer members counted than before, the last time
	wasCut    bool            // that has happened
}

// holderPeer is the peer of a rank of a partition; nil if there is none or it is
// this node, which mine tells.
func (v *view) holderPeer(part, rank int) (p *peer, mine bool) {
	i := v.table.Holder(part, rank)
	if i < 0 {
		return nil, false
	}
	return v.peers[i], i == v.self
}

// owns says whether this node owns a partition in this view.
func (v *view) owns(part int) bool { return v.self >= 0 && v.table.Owner(part) == v.self }

// share is how much of a limit a side of a split may admit by itself in this view; with a
// quorum all, for what may be admitted the voters say. When a split heals, a side keeps its
// share until all that came back have told what they know and handed over what they held;
// and of what another node owns now, until this one has handed it over: that one is told
// what the other side spent.
func (v *view) share(mode limiter.Split, part int, age time.Duration) ledger.Share {
	size := v.sets
	if v.healing(age) && !v.owns(part) {
		size = v.before
	}
	if size.Whole() || mode != limiter.SplitShare {
		return ledger.Share{}
	}
	return ledger.Share{Seen: size.With, Known: size.Base}
}

// healing says whether a node came back so recently that not all slots may be where
// they belong.
func (v *view) healing(age time.Duration) bool {
	return v.backAt != 0 && age-v.backAt < membership.HealTime
}

// rebuild makes the view that follows from the members, and moves the node to it.
// Only the loop calls it.
func (n *Node) rebuild() {
	old := n.view.Load()
	now := n.members.Snapshot(n.clock.age())

	// A process that took a dead one's name knows nothing of what that one held. To us
	// it has left and joined: first a view without it, in which its successors decide,
	// then the one with it.
	var restarted []string
	for _, m := range now.Members {
		if p := old.byName[m.Name]; p != nil && m.Live && p.origin != m.Origin {
			restarted = append(restarted, m.Name)
		}
	}
	first := old
	if len(restarted) > 0 {
		n.moveTo(n.makeView(old, now.Without(restarted)))
		old, now = n.view.Load(), now.Turned(old.table.Fingerprint())
	}
	v := n.makeView(old, now)
	n.moveTo(v)
	if now.Over() {
		n.members.NoGuests(n.clock.age())
	}
	n.expected.set(n.members.Addresses(n.clock.age()))
	n.reportMembers(first, v, restarted)
}

// makeView builds the view of some members. If the ring cannot be built, the table stays
// as it was.
func (n *Node) makeView(old *view, now *membership.Snapshot) *view {
	v := &view{self: -1, byName: map[string]*peer{}, seen: 1, lossAt: now.LossAt, backAt: now.BackAt}
	var names []string
	add := func(m *membership.Member) {
		p := n.peerFor(old, m)
		if m.Silent { // others may have said so, which split limits into shares
			p.silent = true
			n.shares.Store(true)
		}
		v.byName[m.Name], v.all = p, append(v.all, p)
		if !m.Leaving {
			names = append(names, m.Name)
		}
	}
	for _, m := range now.Members {
		if m.Live {
			add(m)
		}
	}
	v.seen += len(names)
	if rival := n.contest.Rival(); rival != nil { // it counts in the place of this one
		v.aside = true
		add(rival)
	}
	if !v.aside && !n.leaving.Load() || len(names) == 0 {
		names = append(names, n.cfg.Name)
	}
	table := old.table
	if slices.Sort(names); !slices.Equal(names, table.Members()) {
		var err error
		if table, err = ring.New(names); err != nil {
			n.log.Error("keeping the old ring", "members", len(names), "error", err)
			table = old.table
		}
	}
	if v.table = table; !v.aside {
		v.self = table.Index(n.cfg.Name)
	}
	v.sets, v.before = now.Sets(table.Fingerprint()).Size(), now.Before().Size()
	if v.cutAt, v.wasCut = old.cutAt, old.wasCut; v.sets.With < old.sets.With && !v.sets.Whole() {
		v.cutAt, v.wasCut = n.clock.age(), true
	}
	v.caught = !v.aside && now.CaughtUp(table.Fingerprint())
	v.byProcess = make(map[tenure.Process]*peer, len(v.all))
	for _, p := range v.all {
		x := tenure.Process(p.origin)
		v.others, v.byProcess[x] = append(v.others, x), p
	}
	v.peers = make([]*peer, len(table.Members()))
	for i, name := range table.Members() {
		v.peers[i] = v.byName[name]
	}
	return v
}

// moveTo makes v the node's view: what moved becomes due, and partitions change
// hands.
func (n *Node) moveTo(v *view) {
	old := n.view.Load()
	for part := range ledger.Partitions {
		if v.table == old.table && n.settled.Load() {
			break
		}
		n.ledger.SetHolders(n.holdersIn(old, v, part))
	}
	v.serial = old.serial + 1
	if v.caught {
		n.informed.Store(v.table)
	}
	if len(v.all) > 0 && !n.met.Load() {
		n.metAt.Store(int64(n.clock.age()))
		n.met.Store(true)
	}
	if n.view.Store(v); v.table != old.table {
		n.ringChanges.Add(1)
		n.forgetTable(old.table.Fingerprint(), v)
	}
	n.renewPeers() // SetSecrets may have seen the old view
	n.transfer(old, v)
	n.adopt(v)
	n.settled.Store(true)
	var gone []ledger.Origin
	for _, p := range old.all {
		if v.byName[p.name] != p {
			gone = append(gone, p.origin)
			n.retire(p)
		}
	}
	if len(gone) > 0 { // what it leased to this node is for who owns it now; a token bucket takes back only its own
		n.returnLeases(func(from ledger.Origin, a limiter.Algorithm) bool {
			return a != limiter.TokenBucket && slices.Contains(gone, from)
		})
	}
}

// forgetTable forgets who had a table, and who has told whom all that was due by it: when it is
// this node's again, that need not be so.
func (n *Node) forgetTable(fingerprint uint64, v *view) {
	n.members.Turned(fingerprint)
	for _, p := range v.all {
		p.table.CompareAndSwap(fingerprint, 0)
		p.caughtUp.CompareAndSwap(fingerprint, 0)
	}
}

// holdersIn are the ranks of a partition that are other processes in v, and which rank each
// of those had in old, or -1.
func (n *Node) holdersIn(old, v *view, part int) (_ int, ranks uint8, was [ledger.Ranks]int) {
	for rank := range was {
		was[rank] = -1
		if rank > n.cfg.Replicas || v.aside { // nobody takes slots from a stranger
			continue
		}
		p, _ := v.holderPeer(part, rank)
		if p == nil {
			continue
		}
		ranks |= 1 << rank
		for before := range n.cfg.Replicas + 1 {
			if q, _ := old.holderPeer(part, before); q != nil && q.origin == p.origin {
				was[rank] = before
			}
		}
	}
	return part, ranks, was
}

// reviseAt is when the view changes by itself, seen at an age.
func (n *Node) reviseAt(age time.Duration) time.Duration {
	return age + n.members.Snapshot(age).ReviseIn()
}

// Partitions is the number of parts into which keys fall. A cluster is whole when
// its nodes hold as many, see [Stats].
const Partitions = ring.Partitions
