package ctime

import (
	"sync/atomic"
	"time"
)

// Peer is what a node knows of a peer's clock. The zero value knows nothing. It is safe for
// concurrent use.
type Peer struct {
	asked    atomic.Bool  // who set it owns readings
	readings readings     // what it said last
	want     atomic.Int64 // the best of these,
	trip     atomic.Int64 // its round trip: so well its clock is known,
	at       atomic.Int64 // and this node's age then
	born     atomic.Int64 // when its process began, in this node's age; 0 is not known
	agreed   atomic.Bool  // its cluster time is this node's
	wall     atomic.Int64 // what its wall clock is ahead of cluster time
	told     atomic.Bool  // it said so
}

// Voice is what it says of the time to a node at an age, which has the clock c. known says that it
// was asked, or is taken for one that has this node's time.
func (p *Peer) Voice(name string, c *Clock, age time.Duration) (v Voice, known bool) {
	born, known := p.Born()
	if !known {
		return Voice{Silent: true}, p.Agreed()
	}
	return Voice{Life: Life{name, born}, Off: c.Off(p.want.Load()), Unsure: p.Says().unsure(age)}, true
}

// Says is the best that is known of it, for Follow.
func (p *Peer) Says() Reading {
	return Reading{Want: p.want.Load(), Trip: p.Unsure(), At: time.Duration(p.at.Load())}
}

// Tells notes what the peer's wall clock is ahead of cluster time.
func (p *Peer) Tells(wall time.Duration) {
	p.wall.Store(int64(wall))
	p.told.Store(true)
}

// Wall is what it told last.
func (p *Peer) Wall() (ahead time.Duration, known bool) {
	return time.Duration(p.wall.Load()), p.told.Load()
}

// Ask says whether its clock is to be asked for: not while it is. Who was told so ends by
// Heard or Unheard.
func (p *Peer) Ask() bool { return !p.asked.Swap(true) }

// Unheard ends an Ask that got no answer.
func (p *Peer) Unheard() { p.asked.Store(false) }

// Heard ends an Ask that got one. It returns the best that is known of the peer, and whether
// its life is not as long as it was: then a clock has jumped, its or this node's, or a
// machine was suspended.
func (p *Peer) Heard(r Reading, c *Clock) (best Reading, jumped bool) {
	best = p.readings.add(r)
	p.want.Store(best.Want)
	p.trip.Store(int64(best.Trip))
	p.at.Store(int64(best.At))
	p.agreed.Store(agrees(c.Off(best.Want), best))
	was := p.born.Swap(int64(best.Born) | 1) // never 0
	p.asked.Store(false)
	off := best.Born - time.Duration(was)
	return best, was != 0 && off.Abs() > tieWithin+best.Trip/2
}

// Agreed says whether the peer has this node's time.
func (p *Peer) Agreed() bool { return p.agreed.Load() }

// Trust takes the peer for one that has this node's time, or not, before it was asked.
func (p *Peer) Trust(agreed bool) { p.agreed.Store(agreed) }

// Doubt has the peer be asked again: one of the two clocks has jumped.
func (p *Peer) Doubt() { p.agreed.Store(false) }

// Born is when the peer's process began, in this node's age, if that is known.
func (p *Peer) Born() (age time.Duration, known bool) {
	at := p.born.Load()
	return time.Duration(at), at != 0
}

// Unsure is the round trip of the reading by which the peer's clock is known.
func (p *Peer) Unsure() time.Duration { return time.Duration(p.trip.Load()) }

// Near says whether its time is that of a clock, as far as is known of it.
func (p *Peer) Near(c *Clock) bool { r := p.Says(); return agrees(c.Off(r.Want), r) }

// Near says whether a peer that sent something in what it took for cluster time, off before
// what that is here now, can have the same time. unsure is how well its clock is known, and
// late for how long what it sent may have been on its way.
func Near(off, unsure, late time.Duration) bool {
	return off > -StepOver-unsure && off < StepOver+unsure+late
}

// Life is how long a node has lived.
type Life struct {
	Name string
	Born time.Duration // in this node's age
}
