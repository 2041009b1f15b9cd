package lease

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// What a node remembers of budgets that others hold, so that it need not ask for each
// take: that one was denied a moment ago, and what part of it is leased to this node.
// It is a table of fixed size, and whatever falls out of it is asked for again.

const (
	setsMax = 2048 // a power of two
	ways    = 4    // budgets in a set: setsMax × ways in all, some 1.5 MB

	denyMax    = time.Second            // a denial is believed for no longer, so that a reset is seen
	demandTime = 100 * time.Millisecond // demand is counted by such periods
	leaseRate  = 100                    // takes in a period from which on LeaseAuto leases
)

// Table is that table. Its times are ages of this process. It is safe for concurrent use.
type Table struct {
	sets    []set
	leases  atomic.Bool  // there has been one
	leased  atomic.Int64 // admitted from leases
	denied  atomic.Int64 // denied from memory
	numbers atomic.Uint64
}

// set is the budgets that compete for some places.
type set struct {
	mu     sync.Mutex
	keys   [ways]budget
	gaveAt time.Duration // when something was given back last: older calls may not know of it
}

// budget is what is remembered of one budget.
type budget struct {
	id     ledger.ID
	lim    limiter.Limit // of the denial and the lease
	usedAt time.Duration // 0 is a free place

	// A denial: costs of deniedCost and more, until deniedTo.
	deniedTo, retryAt, resetAt time.Duration
	deniedCost                 int64
	deniedIn                   uint32 // serial of the view in which it was denied

	// Demand: what was asked in the current period and in the one before.
	period    int64
	now, last demand

	lease holding
}

// NewTable makes an empty one.
func NewTable() *Table { return &Table{sets: make([]set, setsMax)} }

// Leased is how many takes were admitted from leases.
func (t *Table) Leased() int64 { return t.leased.Load() }

// Denied is how many takes were denied from memory.
func (t *Table) Denied() int64 { return t.denied.Load() }

func (t *Table) set(id ledger.ID) *set { return &t.sets[id.Hi%setsMax] }

// find is what is remembered of an id, or nil.
func (s *set) find(id ledger.ID) *budget {
	for i := range s.keys {
		if k := &s.keys[i]; k.id == id && k.usedAt != 0 {
			return k
		}
	}
	return nil
}

// place is where to remember an id: what it has already, or that of the budget that
// was used least lately, if it has nothing to lose; else nil.
func (s *set) place(id ledger.ID, age time.Duration) *budget {
	if k := s.find(id); k != nil {
		return k
	}
	var best *budget
	for i := range s.keys {
		if k := &s.keys[i]; !k.lease.busy(age) && (best == nil || k.usedAt < best.usedAt) {
			best = k
		}
	}
	if best != nil {
		*best = budget{id: id, usedAt: max(1, age)}
	}
	return best
}

// Take answers a take from memory, if it can; a look never, whoever looks wants to know.
// Where it returns an ask, the caller must send it to the holder, and end it by Heard or
// Failed.
func (t *Table) Take(id ledger.ID, l *limiter.Limit, cost int64, age time.Duration, serial uint32) (d limiter.Decision, ok bool, ask Ask) {
	if cost == 0 {
		return d, false, ask
	}
	s := t.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil {
		if l.Lease == limiter.LeaseOff {
			return d, false, ask
		}
		if k = s.place(id, age); k == nil {
			return d, false, ask
		}
	}
	k.usedAt = max(1, age)
	k.count(cost, age)
	if d, ok, ask = k.spend(l, cost, age, &t.numbers); ok {
		t.leased.Add(1)
		return d, true, ask
	}
	if k.deniedTo > age && k.deniesToo(cost) && k.deniedIn == serial && k.lim == *l {
		t.denied.Add(1)
		return limiter.Decision{Path: limiter.PathRemembered, ResetAfter: max(0, k.resetAt-age), RetryAfter: k.retryAt - age}, true, ask
	}
	return d, false, ask
}

// deniesToo says whether a denial that is remembered is also one of a cost, with the same
// wait. A larger cost waits until the same window ends, but longer for a bucket to fill.
func (k *budget) deniesToo(cost int64) bool {
	return cost == k.deniedCost || cost > k.deniedCost && k.lim.Algorithm == limiter.FixedWindow
}

// Look is what is remembered of a budget: what may be spent of a lease, and for how long a denial
// is believed.
func (t *Table) Look(id ledger.ID, age time.Duration) (left int64, denied time.Duration) {
	s := t.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil {
		return 0, 0
	}
	return k.lease.usable(&k.lim, age), max(0, k.deniedTo-age)
}

// demand is how many takes asked for how much.
type demand struct{ takes, cost int64 }

// count counts a take.
func (k *budget) count(cost int64, age time.Duration) {
	if p := int64(age / demandTime); p != k.period {
		if k.last = k.now; p != k.period+1 {
			k.last = demand{}
		}
		k.period, k.now = p, demand{}
	}
	k.now.takes++
	k.now.cost += cost
}

// Deny remembers a denial that the holder gave, at about the age at, to a call begun
// before. What does not depend on the holder alone, may not last, or leaves something, is
// not remembered.
func (t *Table) Deny(id ledger.ID, l *limiter.Limit, cost int64, d limiter.Decision, began, at time.Duration, serial uint32) {
	if cost == 0 || d.Allowed || d.Degraded || d.Tentative || d.Remaining > 0 || d.RetryAfter <= 0 {
		return
	}
	s := t.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if began <= s.gaveAt {
		return
	}
	k := s.place(id, began)
	if k == nil {
		return
	}
	if k.lim != *l && k.lease.left > 0 {
		return // the lease is under another limit
	}
	k.lim, k.deniedCost, k.deniedIn = *l, cost, serial
	k.retryAt, k.resetAt = at+d.RetryAfter, at+d.ResetAfter
	k.deniedTo = began + min(d.RetryAfter, denyMax)
}

// Forget forgets a denial: something was given back, by an age.
func (t *Table) Forget(id ledger.ID, age time.Duration) {
	s := t.set(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaveAt = age
	if k := s.find(id); k != nil {
		k.deniedTo = 0
	}
}

// ForgetAll forgets all denials, at an age.
func (t *Table) ForgetAll(age time.Duration) {
	for i := range t.sets {
		s := &t.sets[i]
		s.mu.Lock()
		s.gaveAt = age
		for j := range s.keys {
			s.keys[j].deniedTo = 0
		}
		s.mu.Unlock()
	}
}
