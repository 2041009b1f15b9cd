package transport

import (
	"fmt"
	"time"
)

// How calls end without an answer: at their deadline, or because the caller does not
// want to wait any longer. A timer per call would cost more than the call; one timer per
// connection, set to the earliest deadline, is moved a few times a second, because most
// calls are long over when the time of the first has come.

// silence is how long nothing at all may come after a call has timed out with nothing
// received since it was queued. Then the connection is given up: after a cut it might
// stay mute for as long again. A peer that is held up for less costs calls, and their
// answers still come; a new connection would be held up as well.
const silence = 2 * time.Second

// errSilent is why a connection was given up.
var errSilent = fmt.Errorf("%w: no sign of life for %v", ErrLost, silence)

// mute is how long a connection has been silent.
type mute struct {
	on    bool
	heard uint64 // what had been received when it began
	since time.Duration
}

// sweep is the goroutine that ends calls at their deadline.
func (c *conn) sweep() {
	var due []call
	for {
		select {
		case <-c.timer.C:
		case <-c.dead:
			c.timer.Stop()
			return
		}
		due = c.sweepOnce(due[:0])
	}
}

// sweepOnce ends the calls that are due and sets the timer for the next. It works in
// due, which it returns.
func (c *conn) sweepOnce(due []call) []call {
	c.mu.Lock()
	now := time.Since(c.epoch)
	next, due := c.slots.sweep(now, due)
	kill := c.silentLocked(due, now) && c.err == nil
	if kill {
		c.err = errSilent // what is still queued never leaves, and its calls may say so
	}
	if c.mute.on {
		next = min(next, int64(c.mute.since+silence))
	}
	if c.armed = next; next != never {
		c.timer.Reset(time.Duration(next) - now)
	}
	gone, taken := c.err != nil, c.taken
	for _, x := range due {
		if !gone || x.start < taken {
			c.keepLocked(x)
		}
	}
	c.mu.Unlock()
	if kill {
		c.end(errSilent)
	}
	for _, x := range due {
		if gone && x.start >= taken {
			c.finish(x.slot, errTimeoutUnsent)
		} else {
			c.finish(x.slot, errTimeoutSent)
		}
	}
	return due
}

// silentLocked judges the connection, and not by one call: whether it has been silent for
// too long, after calls that were sent got no answer.
func (c *conn) silentLocked(due []call, now time.Duration) bool {
	heard := c.heard.Load()
	if c.mute.on && c.mute.heard != heard {
		c.mute.on = false
	}
	for _, x := range due {
		if x.heard == heard && !c.mute.on {
			c.mute = mute{true, heard, now}
		}
	}
	return c.mute.on && now-c.mute.since >= silence
}

// cancel ends a call whose caller does not wait any longer. If somebody else is just
// finishing it, its message may be in use, and its outcome is a moment away: wait for it.
func (c *conn) cancel(s *slot, id uint64, cause error) error {
	if !s.claim(id) {
		<-s.ready
		err := s.err
		c.give(s)
		return err
	}
	c.mu.Lock()
	sent := s.start < c.taken || c.err == nil // what is queued will still leave
	c.slots.give(s)
	c.restLocked()
	c.mu.Unlock()
	return &CallError{Sent: sent, Err: cause}
}
