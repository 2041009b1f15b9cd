package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// How nodes agree on cluster time: each asks every peer how long it has lived, and
// follows the clock of the one that has lived longest, of those whose time most have: one
// alone moves nobody. That one it asks again with every period, and another peer in turn: where a life is not as long as it should
// be, a clock has jumped or a machine was suspended, and all are asked again.

const (
	seedTimeout = 2 * time.Second       // for the clocks of the seeds, before joining
	seedsAfter  = 50 * time.Millisecond // the other seeds have so long, and as long as the first took, after that one
	newcomer    = 5 * time.Second       // for a node that starts to meet the others
)

// followSeeds takes over the cluster time of the longest-lived seed that answers,
// before this node is a member and before it decides anything.
func (n *Node) followSeeds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	var mu sync.Mutex
	var best *ctime.Reading
	var wall time.Duration
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
			n.toldFar(max(c.Far, n.clock.age()-began))
			r := ctime.Read(began, n.clock.age(), c.Age, c.Now)
			others()
			mu.Lock()
			defer mu.Unlock()
			if best == nil || r.Born < best.Born {
				best, wall = &r, c.Agree
			}
		})
	}
	wg.Wait()
	if best != nil {
		n.clock.Follow(*best)
		n.clock.Step(n.ledger)
		n.wall.Follow(wall)
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
		if ref == nil { // who was followed is gone, or another is known better
			n.clock.Rest()
		}
	}
	for i, p := range v.all {
		due := all || !p.time.Agreed() || period && (p == ref || n.syncTurn%len(v.all) == i)
		if !due || p.down.Load() || !p.time.Ask() {
			continue
		}
		c, began := &wire.Time{}, n.clock.age()
		err := p.calls.Start(time.Now().Add(seedTimeout), wire.KindTime, c, func(err error) {
			if err != nil {
				p.time.Unheard()
				n.failed(p, err)
				return
			}
			n.toldFar(c.Far)
			best, jumped := p.time.Heard(ctime.Read(began, n.clock.age(), c.Age, c.Now), &n.clock.Clock)
			if !c.Begun { // it can take nothing over yet: soon again
				p.time.Doubt()
			}
			if jumped {
				n.remeasure.Store(true)
				n.kick(n.flush)
			}
			p.time.Tells(c.Wall)
			n.heardTime(p, c, best)
		})
		if err != nil {
			p.time.Unheard() // not connected yet
		}
	}
}

// heardTime acts on what a peer has said of the time.
func (n *Node) heardTime(p *peer, c *wire.Time, best ctime.Reading) {
	v := n.view.Load()
	ref, alone := n.elect(v)
	off := n.clock.Off(best.Want)
	n.aim(ref, alone)
	switch {
	case ref != nil && !ref.time.Near(&n.clock.Clock):
		n.kick(n.steps) // the loop is the one that moves it
	case !p.time.Near(&n.clock.Clock):
		// Not the first time: it is this node's clock that has jumped, if soon all say so.
		before := time.Duration(p.differs.Swap(int64(off)))
		if times := p.refused.Add(1); times == 2 || times > 2 && (off-before).Abs() >= ctime.StepOver {
			n.refuse(&n.refused.clockSteps, "clock steps", p.name)
		}
	default:
		p.refused.Store(0)
		if p == ref {
			n.wall.Follow(c.Agree)
		}
	}
}

// aim has the clock follow the reference, as it is known now: what was aimed at before may have been
// another one's time, by a reading that was worth little.
func (n *Node) aim(ref *peer, alone bool) {
	if ref == nil {
		n.clock.Rest()
		return
	}
	n.clock.Alone(alone)
	n.clock.Follow(ref.time.Says())
}

// disagree says whether a peer that answers has another time than this node, or its
// time is not known. Until that is over, no slots are taken from it: what they say
// about windows would be wrong here.
func (n *Node) disagree(v *view) bool {
	for _, p := range v.all {
		if !p.time.Agreed() && !p.down.Load() {
			return true
		}
	}
	return false
}

// reference is the peer whose clock this node follows, nil if it follows nobody.
func (n *Node) reference(v *view) *peer {
	ref, _ := n.elect(v)
	return ref
}

// elect finds it, and says whether that one alone says what it does.
func (n *Node) elect(v *view) (ref *peer, alone bool) {
	var voices []ctime.Voice
	var of []*peer
	age := n.clock.age()
	for _, p := range v.all {
		if voice, known := p.time.Voice(p.name, &n.clock.Clock, age); known {
			voice.Silent = voice.Silent || p.down.Load()
			voices, of = append(voices, voice), append(of, p)
		}
	}
	i, alone := ctime.Elect(n.cfg.Name, voices)
	if i < 0 {
		return nil, false
	}
	return of[i], alone
}

// stepClock makes the jump, if there is one. Denials that are remembered hold for windows as
// they were.
func (n *Node) stepClock() {
	d := n.clock.Step(n.ledger)
	if d == 0 {
		return
	}
	n.clockSteps.Add(1)
	n.near.ForgetAll(n.clock.age())
	for _, p := range n.view.Load().all {
		p.time.Doubt()
	}
	n.remeasure.Store(true)
	n.log.Warn("cluster time stepped", "by", d)
}
