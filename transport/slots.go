package transport

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// slot holds one call under way, and is used again for another when it is done.
//
// Whoever swaps the call's id for 0 finishes the call, and nobody else touches the slot
// before it is given back: the reading goroutine with an answer, the sweeper at the
// deadline, a caller whose context ended, or the end of the connection.
type slot struct {
	id atomic.Uint64 // the call in here; 0: none

	// Written before id is, under the connection's lock.
	msg      Message
	done     func(error) // nil: a caller waits on ready
	deadline int64       // nanoseconds since the connection's epoch
	start    uint64      // where the request begins in all that was ever queued
	heard    uint64      // what had been received when it was queued

	err   error         // the outcome, written before ready is signalled
	ready chan struct{} // holds one signal, never more: one per call that waits
	gen   uint64        // how many calls were in here
	place uint64        // its place in the table: the low bits of its ids
}

// claim makes the caller the one who finishes call id. An answer that comes late finds
// another id here, because ids are never used twice.
func (s *slot) claim(id uint64) bool { return id != 0 && s.id.CompareAndSwap(id, 0) }

// slots is the table of calls under way on one connection: a call's id is the slot's
// place in the low bits and the slot's generation above. Taking and giving back
// happen under the connection's lock; looking up needs none.
type slots struct {
	shift uint                    // how many bits of an id are the place
	limit int                     // how many slots there may be
	all   atomic.Pointer[[]*slot] // replaced when it grows, never changed
	free  []*slot                 // last in, first out: the warmest slot is used next
	used  int
}

func newSlots(limit int) *slots {
	t := &slots{shift: uint(bits.Len(uint(limit - 1))), limit: limit}
	t.all.Store(new([]*slot))
	return t
}

// at returns the slot in which call id would be, nil where there cannot be one.
func (t *slots) at(id uint64) *slot {
	all := *t.all.Load()
	i := id & (1<<t.shift - 1)
	if i >= uint64(len(all)) {
		return nil
	}
	return all[i]
}

// take returns a free slot and the id of the call that it is for, nil at the limit.
func (t *slots) take() (*slot, uint64) {
	if len(t.free) == 0 && !t.grow() {
		return nil, 0
	}
	last := len(t.free) - 1
	s := t.free[last]
	t.free = t.free[:last]
	t.used++
	s.gen++
	return s, s.gen<<t.shift | s.place
}

// give takes a slot back that nobody will touch any more.
func (t *slots) give(s *slot) {
	s.msg, s.done, s.err = nil, nil, nil
	t.used--
	t.free = append(t.free, s)
}

// grow doubles the table up to its limit. Slots are made for as many calls as have
// been under way at once, not for as many as might.
func (t *slots) grow() bool {
	old := *t.all.Load()
	n := min(max(2*len(old), 8), t.limit)
	if n == len(old) {
		return false
	}
	all := make([]*slot, n)
	copy(all, old)
	for i := n - 1; i >= len(old); i-- {
		all[i] = &slot{ready: make(chan struct{}, 1), place: uint64(i)}
		t.free = append(t.free, all[i])
	}
	t.all.Store(&all)
	return true
}

// never is the deadline of nothing.
const never = int64(1<<63 - 1)

// call is a call that has been claimed.
type call struct {
	*slot
	id uint64
}

// sweep claims the calls that are due and appends them to into. It returns the next
// deadline.
func (t *slots) sweep(now time.Duration, into []call) (next int64, due []call) {
	next = never
	for _, s := range *t.all.Load() {
		id := s.id.Load()
		switch {
		case id == 0:
		case s.deadline > int64(now):
			next = min(next, s.deadline)
		case s.claim(id):
			into = append(into, call{s, id})
		}
	}
	return next, into
}

// drain claims all calls.
func (t *slots) drain() []*slot {
	var left []*slot
	for _, s := range *t.all.Load() {
		if s.claim(s.id.Load()) {
			left = append(left, s)
		}
	}
	return left
}
