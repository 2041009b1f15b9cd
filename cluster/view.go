package cluster

import (
	"slices"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// view is what a node believes about the cluster at one time. It never changes; a
// take reads one and needs no lock.
type view struct {
	table       *ring.Table
	self        int              // this node's index in the table, -1 while it leaves
	aside       bool             // another node has this one's name: see contest.go
	peers       []*peer          // by index in the table; nil at self
	byName      map[string]*peer // those and the leaving ones
	all         []*peer          // the values of byName, in the order of names
	seen        int              // living members, this node among them
	known       int              // and those that vanished not long ago, but no guests: see count
	heard       int              // seen, without guests, and without those that came back until all have told what they know
	before      int              // the same, without all that came back a short time ago
	knownBefore int              // of so many, see share
	caught      bool             // all peers have sent what is due by this table
	serial      uint32           // views are numbered
	lossAt      time.Duration    // age at which a node vanished last
	backAt      time.Duration    // age at which one came back last; 0 if none did
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

// ownerName is the name of a partition's owner.
func (v *view) ownerName(part int) string { return v.table.Members()[v.table.Owner(part)] }

// share is how much of a limit a side of a split may admit by itself in this view. In
// the minority of a cluster that wants a quorum it is nothing. When a split heals, a
// side keeps its share until all that came back have told what they know and handed over
// what they held; and of what another node owns now, until this one has handed it over:
// that one is told what the other side spent.
func (v *view) share(mode limiter.Split, part int, age time.Duration) (s limiter.Share, minority bool) {
	s = limiter.Share{Seen: v.heard, Known: v.known}
	if v.healing(age) && !v.owns(part) {
		s = limiter.Share{Seen: v.before, Known: v.knownBefore}
	}
	if s.Seen >= s.Known || mode == limiter.SplitFull {
		return limiter.Share{}, false
	}
	if mode == limiter.SplitQuorum {
		return limiter.Share{}, 2*s.Seen <= s.Known
	}
	return s, false
}

// healing says whether a node came back so recently that not all slots may be where
// they belong.
func (v *view) healing(age time.Duration) bool { return v.backAt != 0 && age-v.backAt < healTime }

// healTime is for how long at most members that vanished and came back do not count as
// heard. Normally they say when they have caught up, after one flush.
const healTime = 3 * time.Second

// rebuild makes the view that follows from the members, and moves the node to it.
// Only the loop calls it.
func (n *Node) rebuild() {
	old := n.view.Load()
	list := n.members.list()

	// A process that took a dead one's name knows nothing of what that one held. To us
	// it has left and joined: first a view without it, in which its successors decide,
	// then the one with it.
	var restarted []string
	for _, m := range list {
		if p := old.byName[m.name]; p != nil && m.live && p.origin != m.origin {
			restarted = append(restarted, m.name)
		}
	}
	first := old
	if len(restarted) > 0 {
		n.moveTo(n.makeView(old, list, restarted))
		old = n.view.Load()
	}
	v := n.makeView(old, list, nil)
	n.moveTo(v)
	n.reportMembers(first, v, restarted)
}

// makeView builds the view of some members, without those in except. If the ring
// cannot be built, the table stays as it was.
func (n *Node) makeView(old *view, list []*member, except []string) *view {
	without := map[string]bool{}
	for _, name := range except {
		without[name] = true
	}
	v := &view{self: -1, byName: map[string]*peer{}, seen: 1}
	if rival := n.contest.rival.Load(); rival != nil {
		list, v.aside, v.seen = append(list, rival), true, 0
	}
	var names []string
	vanished := 0
	for _, m := range list {
		switch {
		case m.vanished(n.clock.age(), n.cfg.ForgetAfter):
			vanished++
		case m.live && !without[m.name]:
			p := n.peerFor(old, m)
			v.byName[m.name], v.all = p, append(v.all, p)
			if !m.leaving {
				names = append(names, m.name)
				v.seen++
			}
		}
	}
	v.lossAt = n.members.lossAt()
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
	n.count(v, list, vanished)
	v.peers = make([]*peer, len(table.Members()))
	for i, name := range table.Members() {
		v.peers[i] = v.byName[name]
	}
	return v
}

// count counts the members that may be relied on, now that the view has its table. Those
// that came back count all at once: of the first to be heard the other side may still
// think as its own, and the slots may be with the last. Guests count with them, when
// nobody is missing any more; unless there are not more nodes than expected.
func (n *Node) count(v *view, list []*member, vanished int) {
	age, all, guests, fresh, told := n.clock.age(), v.seen+vanished, 0, 0, true
	expected := all <= n.cfg.ExpectedNodes
	if n.members.isGuest() && !expected {
		guests = 1
	}
	v.caught = true
	for _, m := range list {
		if v.byName[m.name] == nil {
			continue
		}
		caught := n.members.hasCaughtUp(m.name, v.table.Fingerprint())
		v.caught, v.backAt = v.caught && caught, max(v.backAt, m.backAt)
		back := m.backAt != 0 && age-m.backAt < healTime && !m.leaving
		told = told && (caught || !back)
		switch {
		case m.guest && !m.leaving && !expected:
			guests++
		case back:
			fresh++
		}
	}
	if vanished == 0 && !v.healing(age) {
		guests = 0
		n.members.noGuests(age)
	}
	v.before, v.knownBefore = v.seen-guests-fresh, max(all-guests, n.cfg.ExpectedNodes)
	switch v.heard, v.known = v.before, v.knownBefore; {
	case vanished == 0 && told:
		v.heard, v.known = v.seen, max(all, n.cfg.ExpectedNodes)
	case told:
		v.heard = v.seen - guests
	}
}

// moveTo makes v the node's view: what moved becomes due, and partitions change
// hands.
func (n *Node) moveTo(v *view) {
	old := n.view.Load()
	for part := range limiter.Partitions {
		if v.table == old.table && n.settled.Load() {
			break
		}
		n.ledger.SetHolders(n.holdersIn(old, v, part))
	}
	v.serial = old.serial + 1
	if v.caught {
		n.informed.Store(v.table)
	}
	n.view.Store(v)
	n.transfer(old, v)
	n.adopt(v)
	n.settled.Store(true)
	var gone []limiter.Origin
	for _, p := range old.all {
		if v.byName[p.name] != p {
			gone = append(gone, p.origin)
			n.retire(p)
		}
	}
	if len(gone) > 0 { // what it leased to this node is for who owns it now; a token bucket takes back only its own
		n.returnLeases(func(from limiter.Origin, a limiter.Algorithm) bool {
			return a != limiter.TokenBucket && slices.Contains(gone, from)
		})
	}
}

// holdersIn are the ranks of a partition that are other processes in v, and which rank each
// of those had in old, or -1.
func (n *Node) holdersIn(old, v *view, part int) (_ int, ranks uint8, was [limiter.Ranks]int) {
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

// reviseIn is how long until the view changes by itself, since a vanished node stops
// being known or one that came back is trusted, or a long time.
func (n *Node) reviseIn() time.Duration {
	next, age := time.Hour, n.clock.age()
	for _, m := range n.members.list() {
		d := m.lostAt + n.cfg.ForgetAfter - age
		switch {
		case m.live:
			d = m.backAt + healTime - age
		case m.leaving:
			continue
		}
		if d > 0 {
			next = min(next, d)
		}
	}
	return next
}

// Partitions is the number of parts into which keys fall. A cluster is whole when
// its nodes hold as many, see [Stats].
const Partitions = ring.Partitions
