package simnet

import (
	"sync"
	"time"
)

// schedule runs things later, in order of time and then of entry. One timer serves
// the whole network: a timer for each packet would start a goroutine for each, and
// synctest would shuffle those that are due together.
type schedule struct {
	mu    *sync.Mutex // the network's; held by all callers, and while an event runs
	start time.Time
	heap  []event // a binary heap, the earliest first
	seq   uint64
	timer *time.Timer
	armed bool
	due   time.Duration // when timer fires, if armed
}

type event struct {
	at  time.Duration // since start
	seq uint64
	run func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

func (s *schedule) init(mu *sync.Mutex) { s.mu, s.start = mu, time.Now() }

// now is the network's clock.
func (s *schedule) now() time.Duration { return time.Since(s.start) }

// after runs f once d has passed, at once if there is nothing to wait for.
func (s *schedule) after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	s.at(s.now()+d, f)
}

// at runs f at the given time, never within this call.
func (s *schedule) at(t time.Duration, f func()) {
	s.seq++
	s.heap = append(s.heap, event{t, s.seq, f})
	s.up(len(s.heap) - 1)
	s.arm()
}

// arm makes the timer fire for the earliest event. A timer that fires too early, or
// twice, does no harm: tick looks at the clock.
func (s *schedule) arm() {
	if len(s.heap) == 0 || s.armed && s.due <= s.heap[0].at {
		return
	}
	s.armed, s.due = true, s.heap[0].at
	wait := s.due - s.now()
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.tick)
		return
	}
	s.timer.Reset(wait)
}

// tick runs what is due, all under the network's lock: an arrival is one step for
// everybody else.
func (s *schedule) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	// While this loop runs, new events need no timer: the loop's end sets it.
	s.armed, s.due = true, 0
	for len(s.heap) > 0 && s.heap[0].at <= now {
		s.pop().run()
	}
	s.armed = false
	s.arm()
}

// pop takes the earliest event out. The heap is written out here because
// container/heap would box every event in an interface.
func (s *schedule) pop() event {
	first, last := s.heap[0], len(s.heap)-1
	s.heap[0] = s.heap[last]
	s.heap[last] = event{} // lets go of what the closure holds
	s.heap = s.heap[:last]
	s.down(0)
	return first
}

// up moves a new event towards the root until its parent is earlier.
func (s *schedule) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !s.heap[i].before(s.heap[parent]) {
			return
		}
		s.heap[i], s.heap[parent] = s.heap[parent], s.heap[i]
		i = parent
	}
}

// down moves a late event from the root until both its children are later.
func (s *schedule) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if r := child + 1; r < len(s.heap) && s.heap[r].before(s.heap[child]) {
			child = r
		}
		if !s.heap[child].before(s.heap[i]) {
			return
		}
		s.heap[i], s.heap[child] = s.heap[child], s.heap[i]
		i = child
	}
}
