package transport

import (
	"fmt"
	"time"
)

// How calls end without an answer: at their deadline, or because the caller does not
// want to wait any longer. A timer per call would cost more than the call; one timer per
// connection, set to the earliest deadline, is moved a few times a second, because most
// calls are long over when the time of the first has come.

// errSilent is why a connection was given up.
var errSilent = fmt.Errorf("%w: no sign of life within a call's timeout", ErrLost)

// sweep is the goroutine that ends calls at their deadline.
func (c *conn) sweep() {
	var due []*slot
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
func (c *conn) sweepOnce(due []*slot) []*slot {
	c.mu.Lock()
	now := time.Since(c.epoch)
	next, due := c.slots.sweep(now, due)
	c.armed = next
	if next != never {
		c.timer.Reset(time.Duration(next) - now)
	}
	silent := false
	heard := c.heard.Load()
	for _, s := range due {
		silent = silent || s.heard == heard
	}
	// Nothing at all came since one of these calls was queued. After a cut such a
	// connection stays mute for as long again, so it is given up for a new one. What is
	// still queued then never leaves, and its calls may say so.
	kill := silent && c.err == nil
	if kill {
		c.err = errSilent
	}
	gone, taken := c.err != nil, c.taken
	c.mu.Unlock()
	if kill {
		c.end(errSilent)
	}
	for _, s := range due {
		if gone && s.start >= taken {
			c.finish(s, errTimeoutUnsent)
		} else {
			c.finish(s, errTimeoutSent)
		}
	}
	return due
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
	c.mu.Unlock()
	return &CallError{Sent: sent, Err: cause}
}
