package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A lease as its holder of the moment sees it: a part of a budget that its owner has
// counted as spent and handed to this node, which spends it without asking. lease.go
// is the owner's side.

// leaseHere is what this node has of one budget.
type leaseHere struct {
	from  ledger.Origin // who handed it out
	left  int64         // not yet spent
	slice int64         // what there was after the last slice
	end   time.Duration // age from which it means nothing: its window is over
	full  time.Duration // age at which a token bucket would be full, 0 for windows

	// An ask for more. What became of one that failed is not known until the same ask
	// gets an answer, or a recall says what was handed out.
	asking  bool
	unsure  bool
	number  uint64
	void    uint64 // number of an ask that was given up: what it brings does not count
	askedAt time.Duration
	pauseTo time.Duration // there was nothing to have: do not ask before
	waiter  chan struct{} // closed when asking ends; nil if nobody waits

	// What the last recall took back, in case its answer gets lost.
	recalled uint64
	returned int64
}

// busy says whether there is something to lose.
func (h *leaseHere) busy(age time.Duration) bool {
	return h.asking || h.unsure && age-h.askedAt < 2*leaseIdle || h.left > 0 && age < h.end
}

// spend takes cost from the lease, if there is enough. want says that the caller should
// ask for more: there is little left, or none, and enough demand.
func (k *nearKey) spend(l *limiter.Limit, cost int64, age time.Duration) (d limiter.Decision, ok bool, want int64) {
	h := &k.lease
	left := h.usable(&k.lim, age)
	if k.lim != *l {
		left = 0
	}
	if ok = left >= cost; ok {
		left -= cost
		h.left = left
		d = limiter.Decision{Allowed: true, Remaining: left, ResetAfter: k.resetIn(age)}
	}
	if !h.asking && (!ok || left < h.slice/4) && k.wants(l, age) {
		h.asking, h.askedAt = true, age
		want = max(2*max(k.now.cost, k.last.cost), leaseMin)
	}
	return d, ok, want
}

// wants says whether a budget is one to lease.
func (k *nearKey) wants(l *limiter.Limit, age time.Duration) bool {
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
func (h *leaseHere) usable(l *limiter.Limit, age time.Duration) int64 {
	if age >= h.end {
		return 0
	}
	if l.Algorithm == limiter.TokenBucket {
		return min(h.left, tokens(int64(h.full-age), l))
	}
	return h.left
}

// tokens is what a bucket lacks that will be full after a time: where its owner counts as
// many as spent, just as many may be spent elsewhere.
func tokens(ns int64, l *limiter.Limit) int64 { return max(0, (ns+refill(l)-1)/refill(l)) }

// refill is the time in which a token bucket gets one token.
func refill(l *limiter.Limit) int64 { return budget(l).Interval() }

func (k *nearKey) resetIn(age time.Duration) time.Duration {
	switch h := &k.lease; k.lim.Algorithm {
	case limiter.SlidingWindow:
		return h.end + slidingLead - age + k.lim.Window
	case limiter.TokenBucket:
		return h.full - age
	default:
		return h.end - age
	}
}

// ask numbers an ask. One of which it is not known what became has its old number.
func (t *near) ask(id ledger.ID) (number uint64) {
	s := t.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id) // there: who asks is not replaced
	if !k.lease.unsure {
		k.lease.number = t.asks.Add(1)
	}
	return k.lease.number
}

// answered ends an ask that began at an age: what the process from handed out is added.
// sent says that an ask that failed may have been heard.
func (t *near) answered(c *wire.Lease, err error, sent bool, from ledger.Origin, began, age time.Duration) {
	s := t.set(c.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(c.ID)
	h := &k.lease
	h.asking = false
	switch {
	case c.Number == h.void:
		h.unsure = false
	case err == nil:
		if h.unsure = false; c.Slice == 0 {
			h.pauseTo = age + demandTime
			break
		}
		t.leases.Store(true)
		k.add(c, from, began, age)
	default:
		h.unsure, h.pauseTo = sent || h.unsure, age+demandTime
	}
	if h.waiter != nil {
		close(h.waiter)
		h.waiter = nil
	}
}

// add puts a slice to what is left of the last one.
func (k *nearKey) add(c *wire.Lease, from ledger.Origin, began, age time.Duration) {
	h := &k.lease
	left, full := h.usable(&k.lim, age), h.full
	if h.from != from {
		left = 0 // void, or given back
	}
	k.lim, h.from, h.recalled = c.Limit, from, 0
	h.left, h.slice, h.end, h.full = left+c.Slice, left+c.Slice, began+c.ResetAfter, 0
	switch c.Limit.Algorithm {
	case limiter.SlidingWindow:
		h.end -= c.Limit.Window + slidingLead
	case limiter.TokenBucket:
		// What is left of the last slice must not live from takes of others since.
		if h.full = h.end; left > 0 {
			h.full = min(h.full, full+time.Duration(c.Slice*refill(&c.Limit)))
		}
	}
}

// recall takes back what is left of what the process from has handed out, the last of
// it by the ask of c's number. If that is under way still, wait is closed when it is
// over; with force it is given up instead.
func (t *near) recall(c *wire.Recall, from ledger.Origin, age time.Duration, force bool) (wait chan struct{}) {
	s := t.set(c.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(c.ID)
	if k == nil {
		return nil
	}
	h := &k.lease
	if h.number == c.Number && (h.asking || h.unsure) {
		if h.asking && !force {
			if h.waiter == nil {
				h.waiter = make(chan struct{})
			}
			return h.waiter
		}
		h.unsure, h.void = false, c.Number
	}
	c.Lost = h.void == c.Number
	switch {
	case h.from != from:
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

// abandoned takes what is left of all leases that pick picks, and calls f with each.
func (t *near) abandoned(age time.Duration, pick func(from ledger.Origin, a limiter.Algorithm) bool, f func(id ledger.ID, l limiter.Limit, left int64, end time.Duration)) {
	if !t.leases.Load() {
		return
	}
	type back struct {
		id   ledger.ID
		l    limiter.Limit
		left int64
		end  time.Duration
	}
	for i := range t.sets {
		s := &t.sets[i]
		var all []back
		s.mu.Lock()
		for j := range s.keys {
			k := &s.keys[j]
			if h := &k.lease; h.left > 0 && pick(h.from, k.lim.Algorithm) {
				if left := h.usable(&k.lim, age); left > 0 {
					all = append(all, back{k.id, k.lim, left, h.end})
				}
				h.left = 0
			}
		}
		s.mu.Unlock()
		for _, b := range all {
			f(b.id, b.l, b.left, b.end)
		}
	}
}
