package transport

import (
	"net"
	"time"
)

// Strangers have no deadlines of their own, which would cost more than all else that is done for
// most of them: they are gone before, or give way to others. One timer for all closes who has had
// its time.

// armLocked sets the timer for a stranger that has just come, if it is the first that is due.
func (s *Server) armLocked(now, until time.Time) {
	d := &s.door
	switch {
	case !d.armed.IsZero() && !until.Before(d.armed):
		return
	case d.timer == nil:
		d.timer = time.AfterFunc(until.Sub(now), s.sweepDoor)
	default:
		d.timer.Reset(until.Sub(now))
	}
	d.armed = until
}

// sweepDoor closes the strangers that are due. Who is about to get in keeps its connection, or
// not: it is in if it has left its place before.
func (s *Server) sweepDoor() {
	s.mu.Lock()
	now := time.Now()
	due := s.door.expire(now)
	s.turned.Silent += int64(len(due))
	s.door.armed = time.Time{}
	if next := s.door.next(); !next.IsZero() && !s.closed {
		s.armLocked(now, next)
	}
	s.mu.Unlock()
	for _, raw := range due {
		_ = raw.Close()
	}
}

// expire takes their places from those whose time is over.
func (d *door) expire(now time.Time) (due []net.Conn) {
	for class := range d.places {
		for i := 0; i < len(d.places[class]); {
			if d.places[class][i].until.After(now) {
				i++
			} else {
				due = append(due, d.remove(class, i))
			}
		}
	}
	return due
}

// next is when the first will be due, or zero.
func (d *door) next() (next time.Time) {
	for _, places := range d.places {
		for _, s := range places {
			if next.IsZero() || s.until.Before(next) {
				next = s.until
			}
		}
	}
	return next
}
