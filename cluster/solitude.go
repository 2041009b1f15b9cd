package cluster

import (
	"sync/atomic"
	"time"
)

// A node that is alone although it should not be: none of its seeds has answered. It serves, for
// somebody may ask it, but says for a while that no requests should come.

// solitary says whether this node is alone and should not be sent requests: it has seeds, of which
// none has answered, and has not tried for JoinTimeout yet, or they are of another version; or more
// nodes are expected; or it has met the others less than JoinTimeout ago, and both decide for the same partitions still.
func (n *Node) solitary() bool {
	switch {
	case n.met.Load():
		met := time.Duration(n.metAt.Load())
		return n.apart.Load() && n.clock.age()-met < n.cfg.JoinTimeout && !n.together()
	case n.cfg.ExpectedNodes > 1:
		return true
	}
	return !n.tried.Load() || n.isOutdated()
}

// outdated is when a node in Join said last that this one is of a version that it cannot talk to.
type outdated struct{ at atomic.Int64 } // age; 0: never

// outdatedFor is how long that counts: an address is asked several times in it.
const outdatedFor = 5 * time.Second

// isOutdated says whether the others are there, and of another version. They go on: a node that was
// started in the course of an upgrade must not admit whole budgets beside theirs. One with a
// negative JoinTimeout waits for nobody.
func (n *Node) isOutdated() bool {
	at := time.Duration(n.outdated.at.Load())
	return at != 0 && n.cfg.JoinTimeout >= 0 && n.clock.age()-at < outdatedFor
}

// together says whether a node that began alone has handed over all that it holds for others, and
// they what they held for it.
func (n *Node) together() bool {
	v, held := n.view.Load(), n.ledger.Held()
	if !v.caught {
		return false
	}
	for part := range Partitions {
		if held.Has(part) != v.owns(part) {
			return false
		}
	}
	return true
}

// tryToMeet waits until this node has met another one or has tried for long enough, and says loudly
// that it is alone.
func (n *Node) tryToMeet() {
	if !n.seeded() && n.cfg.ExpectedNodes < 2 {
		return // the first of a cluster
	}
	if left := n.cfg.JoinTimeout - n.clock.age(); left > 0 { // since the start
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-n.ctx.Done():
			return
		}
	}
	if n.tried.Store(true); n.met.Load() {
		return
	}
	if n.cfg.ExpectedNodes > 1 {
		n.log.Warn("alone: none of the addresses in Join lets this node in, and more nodes are expected: not ready", "expected", n.cfg.ExpectedNodes, "tried", n.cfg.JoinTimeout)
		return
	}
	if n.isOutdated() {
		n.log.Error("alone: those in Join are of another version: not ready while they answer", "weir", Version, "wire", Wire)
		for n.isOutdated() && n.ctx.Err() == nil {
			n.sleep(time.Second)
		}
		if n.met.Load() || n.ctx.Err() != nil {
			return
		}
	}
	n.log.Warn("alone: none of the addresses in Join lets this node in: ready, with whole budgets of its own", "tried", n.cfg.JoinTimeout)
}
