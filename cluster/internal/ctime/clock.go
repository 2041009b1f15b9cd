// Package ctime is cluster time: what windows tile, agreed without an election. It reads no
// clock and asks nobody: ages and what peers said are arguments.
//
// Cluster time is a node's age, on its monotonic clock, plus an offset that it agrees with
// the longest-lived node it can reach, of those whose time most have ([Elect]). Each answer of a peer about its clock is
// a [Reading], wrong by half of its round trip at most; a [Peer] keeps the last few and goes
// by the best. Small errors are slewed, a little with every flush; large ones, which appear
// only when clusters meet that began apart, are stepped.
//
// Own time is the same without the steps. All that a node keeps, it keeps in own time or as
// an age, and so a step need not move it: the ledger's slots, and leases. What travels is in
// cluster time: slots are moved when a frame is filled, and when one is read, by what cluster
// time is ahead in that instant.
package ctime

import (
	"sync/atomic"
	"time"
)

const (
	// StepOver is the error above which cluster time is stepped. A slot of a peer that is
	// further off says something of another window.
	StepOver = 250 * time.Millisecond

	driftMost = 2000                   // what drifts by more than 1/2000 is no clock
	slewShare = 100                    // slew at most 1/100 of the time that passes
	tieWithin = 100 * time.Millisecond // lives so nearly equal go by name
)

// Clock makes cluster time of a node's age. It is safe for concurrent use.
type Clock struct {
	offset atomic.Int64 // own time at the age 0
	ahead  atomic.Int64 // cluster time less own time
	target atomic.Int64 // what the two should come to
	rests  atomic.Bool  // or not: nobody is followed

	alone atomic.Bool  // one node alone says so
	spare atomic.Int64 // by how much one alone may move it; of who slews
}

// Slots is what tiles cluster time by windows and keeps counts in own time. A Step of it is
// one store: who decides meanwhile sees the old windows or the new ones, with all counts in
// both.
type Slots interface{ Step(d time.Duration) }

// Begin sets cluster time at the age 0: right enough where nobody can be asked.
func (c *Clock) Begin(ns int64) {
	c.offset.Store(ns)
	c.target.Store(ns)
	c.spare.Store(int64(StepOver))
}

// At is cluster time in nanoseconds at an age.
func (c *Clock) At(age time.Duration) int64 { return c.ahead.Load() + c.Own(age) }

// Own is own time at an age.
func (c *Clock) Own(age time.Duration) int64 { return c.offset.Load() + int64(age) }

// Ahead is by how much cluster time is later than own time.
func (c *Clock) Ahead() int64 { return c.ahead.Load() }

// Off is by how much cluster time should be later, if it is the age and want.
func (c *Clock) Off(want int64) time.Duration {
	return time.Duration(want - c.offset.Load() - c.ahead.Load())
}

// Error is by how much cluster time should be later.
func (c *Clock) Error() time.Duration {
	if c.rests.Load() {
		return 0
	}
	return c.Off(c.target.Load())
}

// Follow aims at what a reading says. It returns whether that is certainly so far off that
// it must be stepped; else it is slewed.
func (c *Clock) Follow(r Reading) (step bool) {
	c.target.Store(r.Want)
	c.rests.Store(false)
	return !agrees(c.Off(r.Want), r)
}

// Rest leaves cluster time as it is: nobody is followed any more.
func (c *Clock) Rest() { c.rests.Store(true) }

// Step takes over the target at once, with the slots, and returns by how much cluster time
// moved. One goroutine steps and slews.
func (c *Clock) Step(s Slots) time.Duration {
	d := c.Error()
	if d == 0 {
		return 0
	}
	c.ahead.Add(int64(d))
	s.Step(d)
	return d
}

// Alone notes whether one node alone says what is followed.
func (c *Clock) Alone(is bool) { c.alone.Store(is) }

// Slew approaches the target, as far as passed allows; where one node alone says what that is, only
// as far as drift explains, and an error that was there when the two met.
func (c *Clock) Slew(passed time.Duration) {
	passed = max(0, passed)
	diff, most := c.Error(), passed/slewShare
	spare, alone := min(time.Duration(c.spare.Load())+passed/driftMost, StepOver), c.alone.Load()
	if alone {
		most = min(most, spare)
	}
	if diff = min(max(diff, -most), most); alone {
		spare -= diff.Abs()
	}
	c.spare.Store(int64(spare))
	c.offset.Add(int64(diff))
}

// agrees says whether a clock may be the same as the one that was read, and differs by off.
func agrees(off time.Duration, r Reading) bool { return off.Abs() < StepOver+r.Trip/2 }
