package cluster

import (
	"sync/atomic"
	"time"
)

// Cluster time is what windows tile: the node's monotonic clock plus an offset. The
// offset is agreed with the longest-lived node that can be reached, so every node
// follows the same one without an election. Small errors are slewed, a little with
// every flush; large ones, which appear only when clusters meet that began apart,
// are stepped.
//
// Own time is the same without the steps. All that a node keeps, it keeps in own time or
// as an age, and so a step need not move it: the ledger's slots, and leases. What travels
// is in cluster time: slots are moved when a frame is filled, and when one is read, by
// what cluster time is ahead in that instant.

const (
	stepOver   = 250 * time.Millisecond // larger errors are stepped
	slewShare  = 100                    // slew at most 1/100 of the time that passes
	tieWithin  = 100 * time.Millisecond // lives so nearly equal go by name
	syncPeriod = 3 * time.Second        // between two looks at the reference's clock
)

// clock tells cluster time. It is safe for concurrent use.
type clock struct {
	wall   func() time.Time // nil means time.Now, of which only the monotonic part is read: that is cheaper
	start  time.Time        // by that clock
	mono   time.Time        // the same moment, by the system's
	skew   atomic.Int64     // by how much wall was ahead of the system's clock at the last reading
	shift  atomic.Int64     // added to readings: see sample
	want   chan struct{}    // asks sample for a reading
	fresh  chan struct{}    // there is one
	offset atomic.Int64     // own time at start
	ahead  atomic.Int64     // cluster time less own time
	target atomic.Int64     // what the two should come to
}

// init begins with the wall clock: right enough where nobody else can be asked.
// From here on only differences between readings matter, which with time.Now are
// monotonic.
func (c *clock) init(wall func() time.Time) {
	c.wall, c.mono = wall, time.Now()
	if c.start = c.mono; wall != nil {
		c.start = wall()
		c.want, c.fresh = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	c.offset.Store(c.start.UnixNano())
	c.target.Store(c.start.UnixNano())
}

// wallNow is the wall clock, which decides nothing.
func (c *clock) wallNow() time.Time {
	if c.wall == nil {
		return time.Now()
	}
	return c.wall()
}

// age is how long this process has lived, on its monotonic clock. With a clock of the
// operator's it is that one's last reading and what has passed since: it may be called on
// the loop and under a lock, where nothing is called that may block.
func (c *clock) age() time.Duration {
	if c.wall == nil {
		return time.Since(c.start)
	}
	return time.Since(c.mono) + time.Duration(c.skew.Load())
}

// read is age by a new reading.
func (c *clock) read() time.Duration {
	if c.wall == nil {
		return time.Since(c.start)
	}
	age := c.wall().Sub(c.start) + time.Duration(c.shift.Load())
	c.skew.Store(int64(age - time.Since(c.mono)))
	return age
}

const readingMax = 10 * time.Millisecond // who may not block waits so long for a reading

// refresh is age by a new reading, if that comes soon.
func (c *clock) refresh() time.Duration {
	if c.wall != nil {
		select {
		case c.want <- struct{}{}:
		default: // it is at work
		}
		t := time.NewTimer(readingMax)
		defer t.Stop()
		select {
		case <-c.fresh:
		case <-t.C:
		}
	}
	return c.age()
}

// sample reads the operator's clock for those who may not block, until done is closed. It
// keeps one that was put back from going back: that goes on from the last reading.
func (c *clock) sample(done <-chan struct{}) {
	last := c.read()
	for {
		select {
		case <-c.want:
		case <-done:
			return
		}
		if back := last - c.read(); back > 0 {
			c.shift.Add(int64(back))
		}
		last = c.read()
		select {
		case c.fresh <- struct{}{}:
		default: // nobody took the last one
		}
	}
}

// now is cluster time in nanoseconds.
func (c *clock) now() int64 { return c.at(c.age()) }

// at is cluster time at an age of this process.
func (c *clock) at(age time.Duration) int64 { return c.ahead.Load() + c.own(age) }

// own is own time at an age of this process.
func (c *clock) own(age time.Duration) int64 { return c.offset.Load() + int64(age) }

// ownNow is own time.
func (c *clock) ownNow() int64 { return c.own(c.age()) }

// error is by how much cluster time is wrong.
func (c *clock) error() int64 { return int64(c.off(c.target.Load())) }

// off is by how much cluster time should be later, if it is the age and want.
func (c *clock) off(want int64) time.Duration {
	return time.Duration(want - c.offset.Load() - c.ahead.Load())
}

// aim notes that cluster time should be the age and want. It returns the error, which the
// caller steps or lets slew.
func (c *clock) aim(want int64) time.Duration {
	c.target.Store(want)
	return c.off(want)
}

// step takes over the target at once and returns by how much cluster time moved.
func (c *clock) step() time.Duration {
	d := c.error()
	c.ahead.Add(d)
	return time.Duration(d)
}

// slew approaches the target, as far as passed allows.
func (c *clock) slew(passed time.Duration) {
	diff, most := c.error(), int64(max(0, passed)/slewShare)
	c.offset.Add(min(max(diff, -most), most))
}
