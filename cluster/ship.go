package cluster

import (
	"time"

	"github.com/weir-go/weir/limiter"
)

// Every flush, what changed goes to those who should have it. However often a budget
// changed in between, it is one slot. What could not be delivered stays due.

const (
	shipTimeout = 2 * time.Second
	shippingMax = 64 // frames on their way to one peer
)

// ship sends what is due. Only the loop calls it.
func (n *Node) ship() {
	v := n.view.Load()
	b := batches{n: n, v: v, open: map[*peer]*shipCall{}}
	now := n.clock.ownNow()
	var to [3]*peer // by rank
	for part := range n.ledger.HasDue().All() {
		for rank := range n.cfg.Replicas + 1 {
			to[rank], _ = v.holderPeer(part, rank)
		}
		n.ledger.Collect(part, allRanks, now, func(s limiter.Slot, ranks uint8) uint8 {
			return b.add(s, ranks, to[:n.cfg.Replicas+1])
		})
		b.sendFull()
	}
	b.sendAll()
	if b.left {
		n.behind.CompareAndSwap(0, max(1, int64(n.clock.age())))
		return
	}
	n.behind.Store(0)
	n.tellCaughtUp(v)
}

// batches are the frames being filled, one per peer.
type batches struct {
	n    *Node
	v    *view
	open map[*peer]*shipCall
	left bool // something stays due
	full bool // it could go as soon as a frame has been acknowledged
}

// add puts a slot into the frames of the holders that it is due to. It returns the
// ranks for which that worked; this node's own rank always does.
func (b *batches) add(s limiter.Slot, ranks uint8, to []*peer) (taken uint8) {
	for rank := range 8 {
		bit := uint8(1) << rank
		if ranks&bit == 0 {
			continue
		}
		if rank >= len(to) || to[rank] == nil {
			taken |= bit // this node itself, or nobody
			continue
		}
		p := to[rank]
		c := b.open[p]
		if p.down.Load() {
			b.left = true // until a probe gets an answer
			continue
		}
		if p.shipping.Load() >= shippingMax || c != nil && len(c.slots) >= shipSlots {
			b.left, b.full = true, true
			continue
		}
		if c == nil {
			c = b.n.newFrame(b.v)
			b.open[p] = c
		}
		c.slots = append(c.slots, s.Move(c.ahead))
		taken |= bit
	}
	return taken
}

// newFrame is an empty frame. All of it is meant in one time, also while that steps.
func (n *Node) newFrame(v *view) *shipCall {
	ahead := n.clock.ahead.Load()
	return &shipCall{fingerprint: v.table.Fingerprint(), now: n.clock.ownNow() + ahead, ahead: ahead}
}

// sendFull sends the frames that are full. It runs between two partitions, when no
// lock is held; a partition with more due than a frame holds keeps the rest.
func (b *batches) sendFull() {
	for p, c := range b.open {
		if len(c.slots) >= shipSlots/2 {
			b.send(p, c)
		}
	}
}

func (b *batches) sendAll() {
	for p, c := range b.open {
		b.send(p, c)
	}
	if b.full {
		b.n.shipAgain.Store(true)
	}
}

// send starts the call that carries a frame. What it does not deliver is due again.
func (b *batches) send(p *peer, c *shipCall) {
	delete(b.open, p)
	n := b.n
	p.shipping.Add(1)
	err := p.calls.Start(time.Now().Add(shipTimeout), kindShip, c, func(err error) {
		if err != nil {
			n.failed(p, err)
			n.dueAgain(c)
		} else {
			n.shipped.Add(int64(len(c.slots)))
		}
		p.shipping.Add(-1) // last: what is not on its way must be due
		if n.shipAgain.Swap(false) || n.leaving.Load() {
			n.kick(n.flush)
		}
	})
	if err != nil {
		p.shipping.Add(-1)
		n.dueAgain(c)
		b.left = true
	}
}

// tellCaughtUp says to each peer, once per table, that it has been sent everything and
// handed all that it owns, and asks those to say so that have not.
func (n *Node) tellCaughtUp(v *view) {
	f, age := v.table.Fingerprint(), int64(n.clock.age())
	var owing map[*peer]bool
	for _, p := range v.all {
		ask := !n.members.hasCaughtUp(p.name, f) && age-p.askedAt.Load() >= int64(askCaughtUp)
		if p.caughtUp.Load() == f && !ask || p.down.Load() {
			continue
		}
		if owing == nil { // only while somebody is to be told: it looks at all that is held
			owing = n.owing(v)
		}
		if owing[p] {
			continue
		}
		p.caughtUp.Store(f)
		p.askedAt.Store(age)
		err := p.calls.Start(time.Now().Add(shipTimeout), kindCaughtUp, caughtUpCall{f, ask}, func(err error) {
			if err != nil {
				p.caughtUp.CompareAndSwap(f, 0) // and again
			}
		})
		if err != nil {
			p.caughtUp.CompareAndSwap(f, 0)
		}
	}
}

// owing are the peers that own what this node holds, or is just handing over.
func (n *Node) owing(v *view) map[*peer]bool {
	owing := map[*peer]bool{}
	n.mu.Lock()
	defer n.mu.Unlock()
	for part := range n.ledger.Held().All() {
		if p, _ := v.holderPeer(part, 0); p != nil {
			owing[p] = true
		}
	}
	for _, c := range n.unacked {
		owing[c.to] = true
	}
	return owing
}

const askCaughtUp = 250 * time.Millisecond // before a peer is asked again

func (n *Node) dueAgain(c *shipCall) {
	for _, s := range c.slots {
		n.ledger.Due(s.ID, s.Origin, allRanks) // ranks may mean others by now
	}
}
