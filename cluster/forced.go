package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// How a node decides although another one should: on its copies, or alone.

// forcedShare is what may be admitted without the holder: all of the limit by a
// successor with copies, unless the limit wants its bound kept in a split that is
// perhaps just not noticed yet; one node's share by a node without copies.
func (n *Node) forcedShare(v *view, l *limiter.Limit, alone bool) ledger.Share {
	if alone || n.mode(l) != limiter.SplitFull {
		return ledger.Share{Seen: 1, Known: v.sets.Base}
	}
	return ledger.Share{}
}

// knowsNothing says whether this node may have no copies of a partition: not all others
// that answer have sent yet what is due by this view's table, or none answers; and by the
// last table by which all had, nothing of that partition was due.
func (n *Node) knowsNothing(v *view, part int) bool {
	if v.caught {
		return false
	}
	if t := n.informed.Load(); t != nil {
		for rank := range n.cfg.Replicas + 1 {
			if i := t.Holder(part, rank); i >= 0 && t.Members()[i] == n.cfg.Name {
				return false
			}
		}
	}
	told := false
	for _, p := range v.all {
		caught := n.members.HasCaughtUp(p.name, v.table.Fingerprint())
		if !caught && !p.down.Load() {
			return true
		}
		told = told || caught
	}
	return !told
}

// decideHere decides as the holder, if this node has become that meanwhile, or else as
// decideAs does.
func (r *round) decideHere(alone bool) limiter.Decision {
	if d, ok := r.here(); ok {
		return d
	}
	return r.decideAs(alone)
}

// decideAs decides with copies, or alone.
func (r *round) decideAs(alone bool) limiter.Decision {
	return r.decide(r.n.forcedShare(r.v, &r.c.Limit, alone), alone)
}

// decide decides here although another node should. What it admits is counted in
// this node's own slot, which reaches the others when it can.
func (r *round) decide(s ledger.Share, alone bool) limiter.Decision {
	n, c, age := r.n, r.c, r.n.clock.age()
	switch r.kind {
	case wire.KindGive:
		n.ledger.Refund(c.ID, wire.Budget(&c.Limit), c.Cost, n.clock.Own(age), c.Of)
		return limiter.Decision{}
	case wire.KindReset:
		n.ledger.Reset(c.ID, wire.Budget(&c.Limit), n.clock.Own(age))
		return limiter.Decision{}
	}
	if c.cameLate() {
		return c.Decision
	}
	c.By = 0
	if n.agrees(&c.Limit) {
		n.failovers.Add(1)
		d, _ := n.takeAgreed(r.ctx, c, r.agreeBy(), func(age time.Duration) (limiter.Decision, bool) {
			return n.takeForced(c, age, ledger.Share{}), true
		})
		return d
	}
	d := n.takeForced(c, age, s)
	if n.failovers.Add(1); alone {
		n.degraded.Add(1)
		d.Degraded = true
	}
	return d
}

// hereBy is until when this node may decide what it holds.
func (r *round) hereBy() time.Time {
	if r.n.agrees(&r.c.Limit) {
		return r.agreeBy()
	}
	return r.end
}

// agreeBy is until when the voters may be asked. Where the round is this node's own, all its
// time may be over by now.
func (r *round) agreeBy() time.Time {
	by := time.Now().Add(r.n.patience(nil, &r.c.Limit))
	if r.own && by.After(r.end) {
		return by
	}
	return r.end
}
