package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// Leases: a node that takes much from a budget that another one holds is handed slices
// of it. A slice is counted as spent when it is handed out, in the ledger, so that
// nothing is admitted twice, whatever happens to either node. Before a budget is
// denied, and before its partition changes hands, what is unspent is called back;
// also what has not been added to for a while. So what leases can withhold is what
// nodes had that died or cannot be reached, and no longer than for the window.
// spend.go is the other side.

const (
	leaseMin     = 8    // smaller slices are not worth it: near the end of a budget takes are exact
	leasesMax    = 4096 // budgets that are leased at a time
	leaseIdle    = 300 * time.Millisecond
	slidingLead  = 250 * time.Millisecond // before the end of a sliding window: what is unspent must be back in it
	leaseHolders = 2                      // a slice is at most what is left ÷ (leaseHolders × nodes)
)

// leases is what this node has handed out.
type leases struct {
	mu  sync.Mutex
	out map[ledger.ID]*leased
	n   atomic.Int32  // len(out)
	got atomic.Uint64 // how often something came back
}

// leased is one budget of which parts are handed out.
type leased struct {
	id      ledger.ID
	lim     limiter.Limit
	to      []lessee
	recalls int           // under way
	done    chan struct{} // closed when there are none any more; nil if there are none
}

// lessee is a node that has a part of a budget.
type lessee struct {
	p      *peer
	number uint64        // of the ask for the last slice
	slice  int64         // what that was
	start  int64         // of the window in which it was counted, in own time
	resets int64         // own time at which the budget was to be whole again after it
	at     time.Duration // age at which it was handed out, or recalled in vain
	asked  bool          // a recall is under way
	failed bool          // the last recall got no answer
}

// grant hands a slice to a peer that asks for it. A slice is registered before it is
// counted: who is denied because of it will find it.
func (n *Node) grant(c *wire.Lease, from wire.Hello) {
	v, age := n.view.Load(), n.awake()
	p := v.byName[from.Name]
	if p == nil || p.origin != from.Origin || !v.owns(c.ID.Partition()) || n.leaving.Load() ||
		!v.sets.Whole() || !v.caught || v.healing(age) {
		return // in doubt, every take is decided by itself
	}
	s, now := &n.leases, n.clock.Own(age)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.out[c.ID]
	if x == nil && len(s.out) >= leasesMax {
		return
	}
	if x == nil {
		x = &leased{id: c.ID}
		s.out[c.ID] = x
		s.n.Add(1)
	}
	defer s.tidy(x)
	to := x.lessee(p)
	switch {
	case to == nil:
	case to.number == c.Number: // asked again: the answer was lost
		if c.ResetAfter = time.Duration(to.resets - now); c.ResetAfter > 0 && !to.asked {
			c.Slice = to.slice
		}
		return
	case to.asked || to.failed:
		return // first it must say what it has
	}
	d, ok := n.slice(c, v.seen, now)
	if !ok {
		return
	}
	if to == nil {
		x.to = append(x.to, lessee{p: p})
		to = &x.to[len(x.to)-1]
	}
	to.number, to.slice, to.resets, to.at = c.Number, c.Slice, now+int64(d.ResetAfter), age
	if to.start = to.resets - int64(c.Limit.Window); c.Limit.Algorithm == limiter.SlidingWindow {
		to.start -= int64(c.Limit.Window) // it resets when the next one has passed
	}
	x.lim, c.ResetAfter = c.Limit, d.ResetAfter
}

// slice takes a slice from the budget: what is wanted, or so much of what is left that
// all others can have as much.
func (n *Node) slice(c *wire.Lease, nodes int, now int64) (ledger.Decision, bool) {
	b := budget(&c.Limit)
	d, ok := n.ledger.TakeHeld(c.ID, b, 0, now, ledger.Share{})
	slice := min(c.Want, d.Remaining/int64(leaseHolders*nodes))
	if !ok || slice < leaseMin || c.Limit.Algorithm == limiter.SlidingWindow && d.ResetAfter-c.Limit.Window < 2*slidingLead {
		return d, false
	}
	if d, ok = n.ledger.TakeHeld(c.ID, b, slice, now, ledger.Share{}); !ok || !d.Allowed {
		return d, false
	}
	c.Slice = slice
	return d, true
}

func (x *leased) lessee(p *peer) *lessee {
	for i := range x.to {
		if x.to[i].p == p {
			return &x.to[i]
		}
	}
	return nil
}

// unused is how much of a slice that never arrived goes back: of a token bucket, as if
// it had arrived and not been spent.
func (t *lessee) unused(l *limiter.Limit, now int64) int64 {
	if l.Algorithm == limiter.TokenBucket {
		return min(t.slice, tokens(t.resets-now, l))
	}
	return t.slice
}

// tidy forgets a budget of which nothing is out any more.
func (s *leases) tidy(x *leased) {
	if x.recalls == 0 && x.done != nil {
		close(x.done)
		x.done = nil
	}
	if x.recalls == 0 && len(x.to) == 0 && s.out[x.id] == x {
		delete(s.out, x.id)
		s.n.Add(-1)
	}
}

// denied says whether a denial may be wrong: something is handed out that can be called
// back, or came back since got was read, which was before the denial.
func (s *leases) denied(id ledger.ID, got uint64) bool {
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

// takeRecalled takes once more from a budget held here that was just denied, when what
// is handed out of it has come back, or at end at the latest.
func (n *Node) takeRecalled(ctx context.Context, c *takeCall, end time.Time) (d limiter.Decision, ok bool) {
	for {
		waited := n.recall(ctx, c.ID, end)
		got := n.leases.got.Load()
		d, ok = n.takeOnce(n.view.Load(), n.awake(), c)
		if !ok || d.Allowed || d.Degraded || !waited && n.leases.got.Load() == got || !time.Now().Before(end) || ctx.Err() != nil {
			return d, ok
		}
	}
}

// recall calls back what is handed out of a budget, and waits until it is there or end.
// It returns false if there is nothing to wait for.
func (n *Node) recall(ctx context.Context, id ledger.ID, end time.Time) bool {
	s := &n.leases
	s.mu.Lock()
	x := s.out[id]
	if x == nil {
		s.mu.Unlock()
		return false
	}
	n.recallLocked(x, func(t *lessee) bool { return !t.failed })
	done := x.done
	s.mu.Unlock()
	if done == nil {
		return false
	}
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

// recallLocked asks the lessees that pick picks, of those that were not asked already.
func (n *Node) recallLocked(x *leased, pick func(t *lessee) bool) {
	for i := range x.to {
		t := &x.to[i]
		if t.asked || t.p.down.Load() || !pick(t) {
			continue
		}
		// What is on its way to the lessee takes as long as this call itself.
		c, p := &wire.Recall{ID: x.id, Number: t.number, Wait: n.waitFor(t.p)}, t.p
		err := p.calls.Start(time.Now().Add(c.Wait+p.pace.Smooth()), wire.KindRecall, c, func(err error) {
			if err != nil {
				n.failed(p, err)
			}
			n.recalled(x, p, c, err)
		})
		if t.failed, t.at = err != nil, n.clock.age(); err != nil {
			continue
		}
		t.asked = true
		if x.recalls++; x.done == nil {
			x.done = make(chan struct{})
		}
	}
}

// recalled takes the answer to a recall. Where it is lost, the next one gets the same.
func (n *Node) recalled(x *leased, p *peer, c *wire.Recall, err error) {
	s := &n.leases
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tidy(x)
	x.recalls--
	i := slices.IndexFunc(x.to, func(t lessee) bool { return t.p == p })
	if i < 0 {
		return
	}
	if x.to[i].asked = false; err != nil {
		x.to[i].failed = true
		return
	}
	now, t := n.clock.ownNow(), x.to[i]
	if c.Lost {
		c.Left += t.unused(&x.lim, now)
	}
	x.to = slices.Delete(x.to, i, i+1)
	if c.Left > 0 && (x.lim.Algorithm == limiter.TokenBucket || now < t.start+int64(x.lim.Window)) {
		b := budget(&x.lim)
		if !n.ledger.GiveHeld(x.id, b, c.Left, now) {
			n.ledger.Return(x.id, b, c.Left, now, t.start+int64(x.lim.Window))
		}
	}
	s.got.Add(1)
	if !n.view.Load().owns(x.id.Partition()) {
		n.kick(n.flush) // perhaps it can be handed over now
	}
}

// sweepLeases calls back what is idle or must not stay out, and forgets what is void.
// It returns the partitions in which something is out. Only the loop calls it.
func (n *Node) sweepLeases(v *view) (out map[int]bool) {
	s := &n.leases
	if s.n.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	age := n.clock.age()
	now := n.clock.Own(age)
	out = map[int]bool{}
	for _, x := range s.out {
		part := x.id.Partition()
		owned, windows := v.owns(part), x.lim.Algorithm != limiter.TokenBucket
		left := func(t *lessee) time.Duration { return time.Duration(t.start + int64(x.lim.Window) - now) }
		x.to = slices.DeleteFunc(x.to, func(t lessee) bool {
			return !t.asked && (windows && left(&t) <= 0 || v.byName[t.p.name] != t.p || t.failed && !owned)
		})
		n.recallLocked(x, func(t *lessee) bool {
			ending := x.lim.Algorithm == limiter.SlidingWindow && left(t) <= slidingLead
			leaving := v.table.Index(t.p.name) < 0
			return age-t.at >= leaseIdle || !t.failed && (ending || leaving || !owned)
		})
		if len(x.to) > 0 {
			out[part] = true
		}
		s.tidy(x)
	}
	return out
}
