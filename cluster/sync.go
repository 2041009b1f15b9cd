package cluster

import (
	"context"
	"sync"
	"time"
)

// How nodes agree on cluster time: each asks every peer how long it has lived, and
// follows the clock of the one that has lived longest. That one it asks again with
// every period, and another peer in turn: where a life is not as long as it should
// be, a clock has jumped or a machine was suspended, and all are asked again.

const (
	seedTimeout = time.Second           // for the clocks of the seeds, before joining
	seedsAfter  = rttMax                // the other seeds have so long after the first
	newcomer    = 5 * time.Second       // for a node that starts to meet the others
	rttMax      = 50 * time.Millisecond // a slower answer says too little about a clock
)

// reading is one look at another node's clock.
type reading struct {
	age    time.Duration // how long its process had lived
	remote int64         // its cluster time
	at     time.Duration // this node's age at that moment
}

// readClock makes a reading of an answer to a call that began at an age of ours.
func (n *Node) readClock(c *timeCall, began time.Duration) (r reading, rtt time.Duration) {
	now := n.clock.age()
	rtt = now - began
	return reading{c.age, c.now, began + rtt/2}, rtt
}

// followSeeds takes over the cluster time of the longest-lived seed that answers,
// before this node is a member and before it decides anything.
func (n *Node) followSeeds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	var mu sync.Mutex
	var best reading
	var wg sync.WaitGroup
	others := sync.OnceFunc(func() { time.AfterFunc(seedsAfter, cancel) }) // the dead answer never
	for _, addr := range n.seeds(ctx) {
		wg.Go(func() {
			p := n.dial("", addr)
			defer p.Close()
			deadline, _ := ctx.Deadline()
			var c timeCall
			if p.Call(ctx, deadline, kindTime, &c) != nil { // connects
				return
			}
			began := n.clock.age()
			if p.Call(ctx, deadline, kindTime, &c) != nil { // measures
				return
			}
			r, _ := n.readClock(&c, began)
			others()
			mu.Lock()
			defer mu.Unlock()
			if r.age > best.age {
				best = r
			}
		})
	}
	wg.Wait()
	if best.age > 0 {
		n.clock.aim(best.remote, best.at)
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
		c, began := &timeCall{}, n.clock.age()
		err := p.calls.Start(time.Now().Add(seedTimeout), kindTime, c, func(err error) {
			p.timing.Store(false)
			if err != nil {
				n.failed(p, err)
				return
			}
			r, rtt := n.readClock(c, began)
			n.heardTime(p, r, rtt)
			if p == ref && rtt <= rttMax {
				n.follow(r)
			}
		})
		if err != nil {
			p.timing.Store(false) // not connected yet
		}
	}
}

// heardTime notes what a peer's clock says.
func (n *Node) heardTime(p *peer, r reading, rtt time.Duration) {
	off := time.Duration(r.remote - n.clock.at(r.at))
	p.agreed.Store(off.Abs() < stepOver+rtt)
	if rtt > rttMax && p.bornAt.Load() != 0 {
		return
	}
	born := int64(r.at-r.age) | 1 // never 0
	was := p.bornAt.Swap(born)
	if off := time.Duration(born - was); was != 0 && off.Abs() > tieWithin {
		n.remeasure.Store(true)
	}
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

// follow corrects this node's clock: at once if it is far off, else bit by bit.
func (n *Node) follow(r reading) {
	off := n.clock.aim(r.remote, r.at)
	if off > -stepOver && off < stepOver {
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
	n.log.Warn("cluster time stepped", "node", n.cfg.Name, "by", d)
}
