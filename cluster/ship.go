package cluster

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
)

// Every flush, what changed goes to those who should have it. However often a budget
// changed in between, it is one slot. What could not be delivered stays due, and while
// anything does, Stats.Behind says since when.

const (
	shipTimeout = 2 * time.Second
	shippingMax = 16 // frames on their way to one peer
)

// route is a partition of which a peer is to have copies, as the holder of a rank.
type route struct{ part, rank int }

// routes are the routes to each peer, in a view: those first that it owns, since it waits
// for them.
type routes struct {
	v  *view
	to map[*peer][]route
}

func routesOf(v *view, replicas int) *routes {
	r := &routes{v, map[*peer][]route{}}
	for rank := range replicas + 1 {
		for part := range ledger.Partitions {
			if p, _ := v.holderPeer(part, rank); p != nil {
				r.to[p] = append(r.to[p], route{part, rank})
			}
		}
	}
	return r
}

// shipRound is what one flush has sent. When all of it has arrived, and nothing had to be
// left, nothing is behind any more that was when it began.
type shipRound struct {
	n      *Node
	v      *view
	began  int64 // age
	behind int64 // Node.behind then
	left   bool  // something stays due
	frames int

	open   atomic.Int32 // frames not yet answered, and one while it is filled
	failed atomic.Bool  // one did not arrive
}

// ship sends what is due. However much that is, it looks only at what it sends: for each
// peer it goes on where it ended. Only the loop calls it.
func (n *Node) ship() {
	v := n.view.Load()
	if n.routes == nil || n.routes.v != v {
		n.routes = routesOf(v, n.cfg.Replicas)
	}
	r := &shipRound{n: n, v: v, began: max(1, int64(n.clock.age())), behind: n.behind.Load()}
	r.open.Add(1)
	for _, p := range v.all {
		if rs := n.routes.to[p]; !r.to(p, rs) {
			r.left = true
		}
	}
	switch {
	case r.left:
		r.failed.Store(true)
		n.behind.CompareAndSwap(0, r.began)
	case r.frames == 0 && slices.ContainsFunc(v.all, func(p *peer) bool { return p.shipping.Load() > 0 }):
		r.failed.Store(true) // not that it did: what is on its way is another round's
	}
	r.answered()
	if !r.left {
		n.tellCaughtUp(v)
	}
}

// answered ends the round when all its frames have been answered.
func (r *shipRound) answered() {
	if r.open.Add(-1) == 0 && !r.failed.Load() {
		r.n.behind.CompareAndSwap(r.behind, 0)
	}
}

// to sends what is due to one peer, and says whether that is all: not if the peer is down,
// or if it has more frames to acknowledge than it may.
func (r *shipRound) to(p *peer, rs []route) (all bool) {
	n, now, down := r.n, r.n.clock.ownNow(), p.down.Load()
	var c *frame
	for i := range rs {
		at := (p.shipAt + i) % len(rs)
		x := rs[at]
		for more := n.ledger.HasDue().Has(x.part); more; {
			if down {
				if n.ledger.Owes(x.part, x.rank) {
					return false // until a probe gets an answer
				}
				break
			}
			if c == nil {
				c = n.newFrame(r.v)
			}
			more = n.ledger.Collect(x.part, x.rank, wire.ShipSlots-len(c.Slots), now, func(s ledger.Slot) {
				c.Slots = append(c.Slots, s.Move(c.ahead))
			})
			if len(c.Slots) < wire.ShipSlots {
				continue
			}
			if !r.send(p, c) {
				return false
			}
			runtime.Gosched() // takes are not to wait until this goroutine's turn is over
			if c = nil; p.shipping.Load() >= shippingMax {
				p.shipAt = at
				p.shipMore.Store(true)
				return false // goes on as soon as some have been acknowledged
			}
		}
	}
	return c == nil || len(c.Slots) == 0 || r.send(p, c)
}

// frame is slots on their way to a peer.
type frame struct {
	wire.Ship
	ahead int64 // cluster time less this node's own, by which the slots were moved
}

// newFrame is an empty frame. All of it is meant in one time, also while that steps.
func (n *Node) newFrame(v *view) *frame {
	ahead := n.clock.Ahead()
	return &frame{wire.Ship{Fingerprint: v.table.Fingerprint(), Now: n.clock.ownNow() + ahead}, ahead}
}

// send starts the call that carries a frame. What it does not deliver is due again.
func (r *shipRound) send(p *peer, c *frame) (ok bool) {
	n := r.n
	p.shipping.Add(1)
	r.open.Add(1)
	r.frames++
	err := p.calls.Start(time.Now().Add(shipTimeout), wire.KindShip, c, func(err error) {
		if err != nil {
			n.failed(p, err)
			r.lost(c)
		} else {
			n.shipped.Add(int64(len(c.Slots)))
		}
		r.answered()
		left := p.shipping.Add(-1) // last: what is not on its way must be due
		if left <= shippingMax/2 && p.shipMore.Swap(false) || n.leaving.Load() {
			n.kick(n.flush)
		}
	})
	if err != nil {
		r.lost(c)
		r.answered()
		p.shipping.Add(-1)
	}
	return err == nil
}

// lost makes due again what did not arrive.
func (r *shipRound) lost(c *frame) {
	r.failed.Store(true)
	r.n.behind.CompareAndSwap(0, r.began)
	for _, s := range c.Slots {
		r.n.ledger.Due(s.ID, s.Origin, allRanks) // ranks may mean others by now
	}
}

// tellCaughtUp says to each peer, once per table, that it has been sent everything and
// handed all that it owns, and asks those to say so that have not.
func (n *Node) tellCaughtUp(v *view) {
	if v.aside {
		return
	}
	f, age := v.table.Fingerprint(), int64(n.clock.age())
	var owing map[*peer]bool
	for _, p := range v.all {
		ask := !n.members.HasCaughtUp(p.name, f) && age-p.askedAt.Load() >= int64(askCaughtUp)
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
		err := p.calls.Start(time.Now().Add(shipTimeout), wire.KindCaughtUp, &wire.CaughtUp{Fingerprint: f, Ask: ask}, func(err error) {
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
	for part := range n.seats.of {
		if c := n.seats.of[part].cession; c != nil {
			owing[c.to] = true
		}
	}
	return owing
}

const askCaughtUp = 250 * time.Millisecond // before a peer is asked again
