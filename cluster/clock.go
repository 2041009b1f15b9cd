package cluster

import (
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/ctime"
)

// How a node reads the clock. What it makes of that, package ctime says.

const syncPeriod = 3 * time.Second // between two looks at the reference's clock

// clock tells this process's age, and cluster time. It is safe for concurrent use.
type clock struct {
	ctime.Clock
	wall  func() time.Time // nil means time.Now, of which only the monotonic part is read: that is cheaper
	start time.Time        // by that clock
	mono  time.Time        // the same moment, by the system's
	skew  atomic.Int64     // by how much wall was ahead of the system's clock at the last reading
	shift atomic.Int64     // added to readings: see sample
	want  chan struct{}    // asks sample for a reading
	fresh chan struct{}    // there is one
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
	c.Begin(c.start.UnixNano())
}

// wallNow is the wall clock, which decides nothing.
func (c *clock) wallNow() time.Time {
	if c.wall == nil {
		return time.Now()
	}
	return c.wall()
}

// wallRead is the wall clock for those who may not block: of the operator's the last reading.
func (c *clock) wallRead() time.Time {
	if c.wall == nil {
		return time.Now()
	}
	return c.start.Add(c.age())
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
func (c *clock) now() int64 { return c.At(c.age()) }

// ownNow is own time.
func (c *clock) ownNow() int64 { return c.Own(c.age()) }
