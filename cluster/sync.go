package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
)

// How nodes agree on cluster time: each asks every peer how long it has lived, and
// follows the clock of the one that has lived longest. That one it asks again with
// every period, and another peer in turn: where a life is not as long as it should
// be, a clock has jumped or a machine was suspended, and all are asked again.

const (
	seedTimeout = 2 * time.Second       // for the clocks of the seeds, before joining
	seedsAfter  = 50 * time.Millisecond // the other seeds have so long, and as long as the first took, after that one
	newcomer    = 5 * time.Second       // for a node that starts to meet the others
)

// readClock makes a reading of an answer to a call that began at an age of ours.
func (n *Node) readClock(c *wire.Time, began time.Duration) look {
	rtt := n.clock.age() - began
	at := began + rtt/2
	return look{want: c.Now - int64(at), born: at - c.Age, at: at, rtt: rtt}
}

// followSeeds takes over the cluster time of the longest-lived seed that answers,
// before this node is a member and before it decides anything.
func (n *Node) followSeeds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	var mu sync.Mutex
	var best *look
	var wg sync.WaitGroup
	start := n.clock.age()
	others := sync.OnceFunc(func() { time.AfterFunc(seedsAfter+n.clock.age()-start, cancel) }) // the dead answer never
	for _, addr := range n.seeds(ctx) {
		wg.Go(func() {
			p := n.dial("", addr)
			defer p.Close()
			deadline, _ := ctx.Deadline()
			var c wire.Time
			if p.Call(ctx, deadline, wire.KindTime, &c) != nil { // connects
				return
			}
			began := n.clock.age()
			if p.Call(ctx, deadline, wire.KindTime, &c) != nil { // measures
				return
			}
			l := n.readClock(&c, began)
			others()
			mu.Lock()
			defer mu.Unlock()
			if best == nil || l.born < best.born {
				best = &l
			}
		})
	}
	wg.Wait()
	if best != nil {
		n.clock.aim(best.want)
		n.ledger.Step(n.clock.step())
		n.follows = true
	}
}

// trusts says whether a peer that was never asked has this node's time: all have that
// a node meets when it starts, if one of them has told it the time.
func (n *Node) trusts() bool { return n.follows && n.clock.age() < newcomer }

// syncClocks asks the peers with which this node does not agree on the time; and with
// every period also the reference and the peer whose turn it is, or if a clock has
// jumped, all. Only the loop calls it.
func (n *Node) syncClocks(v *view, period bool) {
	ref, all := n.reference(v), n.remeasure.Swap(false)
	if period {
		n.syncTurn++
	}
	for i, p := range v.all {
		due := all || !p.agreed.Load() || period && (p == ref || n.syncTurn%len(v.all) == i)
		if !due || p.down.Load() || p.timing.Swap(true) {
			continue
		}
		c, began := &wire.Time{}, n.clock.age()
		err := p.calls.Start(time.Now().Add(seedTimeout), wire.KindTime, c, func(err error) {
			p.timing.Store(false)
			if err != nil {
				n.failed(p, err)
				return
			}
			best := n.heardTime(p, n.readClock(c, began))
			if p == ref {
				n.follow(best)
			}
		})
		if err != nil {
			p.timing.Store(false) // not connected yet
		}
	}
}

// heardTime notes what a peer's clock says, and returns the best that is known of it.
func (n *Node) heardTime(p *peer, l look) look {
	best := p.looks.add(l)
	p.rtt.Store(int64(best.rtt))
	p.agreed.Store(n.clock.off(best.want).Abs() < stepOver+best.rtt/2)
	was := p.bornAt.Swap(int64(best.born) | 1) // never 0
	if off := best.born - time.Duration(was); was != 0 && off.Abs() > tieWithin+best.rtt/2 {
		n.remeasure.Store(true)
	}
	return best
}

// disagree says whether a peer that answers has another time than this node, or its
// time is not known. Until that is over, no slots are taken from it: what they say
// about windows would be wrong here.
func (n *Node) disagree(v *view) bool {
	for _, p := range v.all {
		if !p.agreed.Load() && !p.down.Load() {
			return true
		}
	}
	return false
}

// reference is the peer whose clock this node follows: the longest-lived, if it has
// lived longer than this node. Lives that are nearly equal go by name.
func (n *Node) reference(v *view) (ref *peer) {
	born, name := int64(0), n.cfg.Name
	for _, p := range v.all {
		at := p.bornAt.Load()
		if at == 0 || p.down.Load() {
			continue
		}
		older := at < born-int64(tieWithin)
		tie := !older && at < born+int64(tieWithin)
		if older || tie && p.name < name {
			ref, born, name = p, at, p.name
		}
	}
	return ref
}

// follow corrects this node's clock: at once if it is certainly far off, else bit by bit.
func (n *Node) follow(l look) {
	if n.clock.aim(l.want).Abs() < stepOver+l.rtt/2 {
		return
	}
	n.kick(n.steps) // the loop is the one that moves it
}

// stepClock makes the jump. Denials that are remembered hold for windows as they were.
func (n *Node) stepClock() {
	d := n.clock.step()
	if d == 0 {
		return
	}
	n.ledger.Step(d)
	n.near.forgetAll(n.clock.age())
	for _, p := range n.view.Load().all {
		p.agreed.Store(false)
	}
	n.remeasure.Store(true)
	n.log.Warn("cluster time stepped", "by", d)
}
