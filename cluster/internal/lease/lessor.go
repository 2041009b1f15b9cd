package lease

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// Lessor is what this node has handed out, to processes that a P stands for. It is safe for
// concurrent use.
type Lessor[P comparable] struct {
	mu  sync.Mutex
	out map[ledger.ID]*loans[P]
	n   atomic.Int32  // len(out)
	got atomic.Uint64 // how often something came back
}

// loans is one budget of which parts are handed out.
type loans[P comparable] struct {
	id      ledger.ID
	lim     limiter.Limit
	to      []loan[P]
	recalls int           // under way
	done    chan struct{} // closed when there are none any more; nil if there are none
}

// loan is what one process has of a budget.
type loan[P comparable] struct {
	to     P
	state  loaned
	number uint64        // of the ask for the last slice
	slice  int64         // what that was
	start  int64         // of the window in which it was counted, in own time
	resets int64         // own time at which the budget was to be whole again after it
	at     time.Duration // age at which it was handed out, or recalled last
}

// loaned is where a loan stands.
type loaned uint8

const (
	lent     loaned = iota // the process may spend it, and ask for more
	recalled               // a recall is under way
	silent                 // the last recall got no answer: first the process must say what it has
)

// Call is a recall that must be sent, and be ended by Returned or Unanswered.
type Call[P comparable] struct {
	To     P
	ID     ledger.ID
	Number uint64
}

// Leased is of how many budgets something is handed out.
func (s *Lessor[P]) Leased() int { return int(s.n.Load()) }

// Grant hands a slice to a process that asks for it, of what one of nodes may have. A slice
// is registered before it is counted: who is denied because of it will find it.
func (s *Lessor[P]) Grant(l *ledger.Ledger, c *wire.Lease, to P, nodes int, age time.Duration, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.out[c.ID]
	if x == nil && len(s.out) >= leasesMax {
		return
	}
	if x == nil {
		if s.out == nil {
			s.out = map[ledger.ID]*loans[P]{}
		}
		x = &loans[P]{id: c.ID}
		s.out[c.ID] = x
		s.n.Add(1)
	}
	defer s.tidy(x)
	t := x.loanTo(to)
	switch {
	case t == nil:
	case t.number == c.Number: // asked again: the answer was lost; also while it is being recalled,
		if c.ResetAfter = time.Duration(t.resets - now); c.ResetAfter > 0 { // or the process takes it for none
			c.Slice = t.slice
		}
		return
	case t.state != lent:
		return
	}
	d, ok := slice(l, c, nodes, now)
	if !ok {
		return
	}
	if t == nil {
		x.to = append(x.to, loan[P]{to: to})
		t = &x.to[len(x.to)-1]
	}
	t.number, t.slice, t.resets, t.at = c.Number, c.Slice, now+int64(d.ResetAfter), age
	if t.start = t.resets - int64(c.Limit.Window); c.Limit.Algorithm == limiter.SlidingWindow {
		t.start -= int64(c.Limit.Window) // it resets when the next one has passed
	}
	x.lim, c.ResetAfter = c.Limit, d.ResetAfter
}

// slice takes a slice from the budget: what is wanted, or so much of what is left that
// all others can have as much.
func slice(l *ledger.Ledger, c *wire.Lease, nodes int, now int64) (ledger.Decision, bool) {
	b := wire.Budget(&c.Limit)
	d, ok := l.TakeHeld(c.ID, b, 0, now, ledger.Share{})
	slice := min(c.Want, d.Remaining/int64(leaseHolders*nodes))
	if !ok || slice < leaseMin || c.Limit.Algorithm == limiter.SlidingWindow && d.ResetAfter-c.Limit.Window < 2*slidingLead {
		return d, false
	}
	if d, ok = l.TakeHeld(c.ID, b, slice, now, ledger.Share{}); !ok || !d.Allowed {
		return d, false
	}
	c.Slice = slice
	return d, true
}

func (x *loans[P]) loanTo(p P) *loan[P] {
	for i := range x.to {
		if x.to[i].to == p {
			return &x.to[i]
		}
	}
	return nil
}

// unused is how much of a slice that never arrived goes back: of a token bucket, as if
// it had arrived and not been spent.
func (t *loan[P]) unused(l *limiter.Limit, now int64) int64 {
	if l.Algorithm == limiter.TokenBucket {
		return min(t.slice, tokens(t.resets-now, l))
	}
	return t.slice
}

// tidy forgets a budget of which nothing is out any more.
func (s *Lessor[P]) tidy(x *loans[P]) {
	if x.recalls == 0 && x.done != nil {
		close(x.done)
		x.done = nil
	}
	if x.recalls == 0 && len(x.to) == 0 && s.out[x.id] == x {
		delete(s.out, x.id)
		s.n.Add(-1)
	}
}

// Got is how often something has come back.
func (s *Lessor[P]) Got() uint64 { return s.got.Load() }

// MayCome says whether a denial may be wrong: something is handed out that can be called
// back, or came back since got was read, which was before the denial.
func (s *Lessor[P]) MayCome(id ledger.ID, got uint64) bool {
	if s.got.Load() != got {
		return true
	}
	if s.n.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out[id] != nil || s.got.Load() != got
}

// Recall calls back what is handed out of a budget, of those that may be reached, that
// answered the last time, and that are not asked already.
func (s *Lessor[P]) Recall(id ledger.ID, reached func(P) bool, age time.Duration) []Call[P] {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.out[id]
	if x == nil {
		return nil
	}
	return x.recall(nil, func(t *loan[P]) bool { return t.state == lent && reached(t.to) }, age)
}

// recall begins the recalls of those loans that pick picks.
func (x *loans[P]) recall(calls []Call[P], pick func(t *loan[P]) bool, age time.Duration) []Call[P] {
	for i := range x.to {
		t := &x.to[i]
		if t.state == recalled || !pick(t) {
			continue
		}
		t.state, t.at = recalled, age
		if x.recalls++; x.done == nil {
			x.done = make(chan struct{})
		}
		calls = append(calls, Call[P]{t.to, x.id, t.number})
	}
	return calls
}

// Back is closed when all that is being called back of a budget has come, or will not; it is
// nil where nothing is being called back.
func (s *Lessor[P]) Back(id ledger.ID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.out[id]; x != nil {
		return x.done
	}
	return nil
}

// Returned ends a recall that was answered: what was left there is not spent any more.
func (s *Lessor[P]) Returned(l *ledger.Ledger, c Call[P], left int64, lost bool, now int64) {
	s.ended(c, func(x *loans[P], i int) {
		t := x.to[i]
		if lost {
			left += t.unused(&x.lim, now)
		}
		x.to = slices.Delete(x.to, i, i+1)
		window := t.start + int64(x.lim.Window)
		if left > 0 && (x.lim.Algorithm == limiter.TokenBucket || now < window) {
			b := wire.Budget(&x.lim)
			if !l.GiveHeld(x.id, b, left, now) {
				l.Return(x.id, b, left, now, window)
			}
		}
		s.got.Add(1)
	})
}

// Unanswered ends a recall that got no answer. Where that is lost, the next one gets the same.
func (s *Lessor[P]) Unanswered(c Call[P]) {
	s.ended(c, func(x *loans[P], i int) { x.to[i].state = silent })
}

// ended ends a recall by a change to the loan that it was about.
func (s *Lessor[P]) ended(c Call[P], change func(x *loans[P], i int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.out[c.ID] // there: what is being recalled is not forgotten
	x.recalls--
	change(x, slices.IndexFunc(x.to, func(t loan[P]) bool { return t.to == c.To }))
	s.tidy(x)
}

// Sight is what a node sees of the others.
type Sight[P comparable] struct {
	Owned   func(part int) bool // by this node
	Known   func(P) bool        // it has not gone
	Leaving func(P) bool
	Reached func(P) bool
}

// Sweep calls back what is idle or must not stay out, and forgets what is void. It returns
// the partitions in which something is out, and the recalls to send.
func (s *Lessor[P]) Sweep(v Sight[P], age time.Duration, now int64) (out map[int]bool, calls []Call[P]) {
	if s.n.Load() == 0 {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out = map[int]bool{}
	for _, x := range s.out {
		part := x.id.Partition()
		owned, windows := v.Owned(part), x.lim.Algorithm != limiter.TokenBucket
		left := func(t *loan[P]) time.Duration { return time.Duration(t.start + int64(x.lim.Window) - now) }
		x.to = slices.DeleteFunc(x.to, func(t loan[P]) bool {
			return t.state != recalled && (windows && left(&t) <= 0 || !v.Known(t.to) || t.state == silent && !owned)
		})
		calls = x.recall(calls, func(t *loan[P]) bool {
			ending := x.lim.Algorithm == limiter.SlidingWindow && left(t) <= slidingLead
			return v.Reached(t.to) && (age-t.at >= leaseIdle || t.state == lent && (ending || v.Leaving(t.to) || !owned))
		}, age)
		if len(x.to) > 0 {
			out[part] = true
		}
		s.tidy(x)
	}
	return out, calls
}
