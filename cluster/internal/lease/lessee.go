package lease

import (
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A lease as its holder of the moment sees it: a part of a budget that its owner has counted
// as spent and handed to this node, which spends it without asking.

// asking is what is under way for more of a budget.
//
//	            begin          heard, or not sent   sent, and no answer   recalled
//	calm        → asked                                                   (gives what is left)
//	asked                      → calm               → unsure              waits; in vain → givenUp
//	unsure      → askedAgain                                              → calm
//	askedAgain                 heard: → calm        → unsure              waits; in vain → givenUp
//	                           not sent: → unsure
//	givenUp                    → calm               → calm                (gives what is left)
type asking uint8

const (
	calm       asking = iota // nothing is
	asked                    // an ask
	unsure                   // nothing, and it is not known what the last ask brought
	askedAgain               // that ask once more, under its number
	givenUp                  // an ask whose slice will not count: its recall has said so
)

// underWay says whether an answer is to come.
func (a asking) underWay() bool { return a == asked || a == askedAgain || a == givenUp }

// begin is the state after an ask has begun, which only calm and unsure allow.
func (a asking) begin() asking {
	if a == unsure {
		return askedAgain
	}
	return asked
}

// fail is the state after an ask has failed. sent says that it may have been heard.
func (a asking) fail(sent bool) asking {
	if a == askedAgain || a == asked && sent {
		return unsure
	}
	return calm
}

// holding is what this node has of one budget.
type holding struct {
	from  ledger.Origin // who handed it out
	left  int64         // not yet spent
	slice int64         // what there was after the last slice
	end   time.Duration // age from which it means nothing: its window is over, or its bucket full

	// Of a token bucket, what of left is older than the last slice, and the age at which the
	// bucket would be full if others had taken nothing since that was counted.
	rest     int64
	restFull time.Duration

	state   asking
	number  uint64 // of the last ask; later ones have larger numbers
	heard   uint64 // number of the ask that brought the last slice
	lost    uint64 // number of an ask that was given up
	askedAt time.Duration
	pauseTo time.Duration // there was nothing to have: do not ask before
	waiter  chan struct{} // closed when an answer is there; nil if nobody waits

	// What the last recall took back, in case its answer gets lost.
	recalled uint64
	returned int64
}

// busy says whether there is something to lose.
func (h *holding) busy(age time.Duration) bool {
	return h.state.underWay() || h.state == unsure && age-h.askedAt < 2*leaseIdle || h.left > 0 && age < h.end
}

// Ask is an ask that the holder of a budget must be sent now, if Want is not 0.
type Ask struct {
	Want   int64
	Number uint64
}

// spend takes cost from the lease, if there is enough, and begins an ask for more where
// there is little left, or none, and enough demand.
func (k *budget) spend(l *limiter.Limit, cost int64, age time.Duration, numbers *atomic.Uint64) (d limiter.Decision, ok bool, ask Ask) {
	h := &k.lease
	left := h.usable(&k.lim, age)
	if k.lim != *l {
		left = 0
	}
	if ok = left >= cost; ok {
		left -= cost
		h.left, h.rest = left, max(0, h.usableRest(&k.lim, age)-cost) // the oldest first
		d = limiter.Decision{Allowed: true, Path: limiter.PathLeased, Remaining: left, ResetAfter: k.resetIn(age)}
	}
	if !h.state.underWay() && (!ok || left < h.slice/4) && k.wants(l, age) {
		if h.state = h.state.begin(); h.state == asked {
			h.number = numbers.Add(1)
		}
		h.askedAt = age
		ask = Ask{max(2*max(k.now.cost, k.last.cost), leaseMin), h.number}
	}
	return d, ok, ask
}

// wants says whether a budget is one to lease.
func (k *budget) wants(l *limiter.Limit, age time.Duration) bool {
	switch l.Lease {
	case limiter.LeaseAlways:
	case limiter.LeaseAuto:
		if max(k.now.takes, k.last.takes) < leaseRate {
			return false
		}
	default:
		return false
	}
	return age >= k.lease.pauseTo && age >= k.deniedTo
}

// usable is how much of the lease may be spent. Of a token bucket no more than would
// not have flowed over: what is spent late must not add to what was refilled since.
func (h *holding) usable(l *limiter.Limit, age time.Duration) int64 {
	if age >= h.end {
		return 0
	}
	if l.Algorithm == limiter.TokenBucket {
		return h.usableRest(l, age) + min(max(0, h.left-h.rest), tokens(int64(h.end-age), l))
	}
	return h.left
}

// usableRest is that of what is older than the last slice.
func (h *holding) usableRest(l *limiter.Limit, age time.Duration) int64 {
	rest := min(h.left, h.rest)
	if rest == 0 {
		return 0
	}
	return min(rest, tokens(int64(h.restFull-age), l))
}

func (k *budget) resetIn(age time.Duration) time.Duration {
	h := &k.lease
	if k.lim.Algorithm == limiter.SlidingWindow {
		return h.end + slidingLead - age + k.lim.Window
	}
	return h.end - age
}

// Heard ends an ask that began at an age: what the process from has handed out is added.
func (t *Table) Heard(c *wire.Lease, from ledger.Origin, began, age time.Duration) {
	t.answered(c.ID, func(k *budget) {
		h := &k.lease
		was := h.state
		switch h.state = calm; {
		case was == givenUp:
		case c.Slice == 0:
			h.pauseTo = age + demandTime
		default:
			t.leases.Store(true)
			k.add(c, from, began, age)
		}
	})
}

// Failed ends an ask that got no answer. sent says that it may have been heard.
func (t *Table) Failed(id ledger.ID, sent bool, age time.Duration) {
	t.answered(id, func(k *budget) {
		k.lease.state, k.lease.pauseTo = k.lease.state.fail(sent), age+demandTime
	})
}

// answered changes the budget of which an ask has ended, and wakes who waits for that.
func (t *Table) answered(id ledger.ID, change func(k *budget)) {
	s := t.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id) // there: who asks is not replaced
	change(k)
	if h := &k.lease; h.waiter != nil {
		close(h.waiter)
		h.waiter = nil
	}
}

// add puts a slice to what is left of the last one.
func (k *budget) add(c *wire.Lease, from ledger.Origin, began, age time.Duration) {
	h := &k.lease
	left, rest, full := h.usable(&k.lim, age), h.usableRest(&k.lim, age), h.end
	if h.from != from {
		left, rest = 0, 0 // void, or given back
	}
	k.lim, h.from, h.heard, h.recalled = c.Limit, from, c.Number, 0
	h.left, h.slice, h.end, h.rest = left+c.Slice, left+c.Slice, began+c.ResetAfter, 0
	switch c.Limit.Algorithm {
	case limiter.SlidingWindow:
		h.end -= c.Limit.Window + slidingLead
	case limiter.TokenBucket:
		// What is left must not live from takes of others since: it keeps its time, and the
		// slice, of which alone the holder has just said when it ends, has its own.
		if rest > 0 {
			full = min(full, h.restFull+time.Duration((left-rest)*refill(&c.Limit)))
		}
		h.rest, h.restFull = left, min(full, h.end)
	}
}

// Recall takes back what is left of what the process from has handed out, the last of it by
// the ask of c's number. If that is under way still, wait is closed when it is over; with
// force it is given up instead.
func (t *Table) Recall(c *wire.Recall, from ledger.Origin, age time.Duration, force bool) (wait <-chan struct{}) {
	s := t.set(c.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(c.ID)
	if k == nil {
		return nil
	}
	h := &k.lease
	if h.number == c.Number {
		switch h.state {
		case asked, askedAgain:
			if !force {
				if h.waiter == nil {
					h.waiter = make(chan struct{})
				}
				return h.waiter
			}
			h.state, h.lost = givenUp, c.Number
		case unsure:
			h.state, h.lost = calm, c.Number
		}
	}
	c.Lost = h.lost == c.Number
	switch {
	case h.from != from:
	case c.Number < h.heard: // it is late: what it was about has been given back
	case h.recalled == c.Number:
		c.Left = h.returned
	default:
		c.Left = h.usable(&k.lim, age)
		if k.lim.Algorithm == limiter.SlidingWindow && age < h.end+slidingLead {
			c.Left = h.left // no longer to be spent here, but there
		}
		h.left, h.recalled, h.returned = 0, c.Number, c.Left
	}
	return nil
}

// Rest is what is left of a lease that is given up.
type Rest struct {
	ID     ledger.ID
	Limit  limiter.Limit
	Left   int64
	Window time.Duration // age at which the window ends in which it was counted
}

// Abandon gives up all leases that pick picks, and calls f with what was left of each.
func (t *Table) Abandon(age time.Duration, pick func(from ledger.Origin, a limiter.Algorithm) bool, f func(r Rest)) {
	if !t.leases.Load() {
		return
	}
	for i := range t.sets {
		var all []Rest
		s := &t.sets[i]
		s.mu.Lock()
		for j := range s.keys {
			k := &s.keys[j]
			h := &k.lease
			if h.left <= 0 || !pick(h.from, k.lim.Algorithm) {
				continue
			}
			if left := h.usable(&k.lim, age); left > 0 {
				r := Rest{k.id, k.lim, left, h.end}
				if k.lim.Algorithm == limiter.SlidingWindow {
					r.Window += slidingLead
				}
				all = append(all, r)
			}
			h.left = 0
		}
		s.mu.Unlock()
		for _, r := range all {
			f(r)
		}
	}
}
