package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/tally"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A take carries one number of the process that asks, however many nodes it reaches and
// however often. Whoever has counted that number does not count it again: package tally
// knows what was.

// takeOnce is takeHeld for a request that may have been counted here before: then it is
// admitted, and not counted.
func (n *Node) takeOnce(v *view, age time.Duration, c *takeCall) (d limiter.Decision, ok bool) {
	if c.Number == 0 {
		return n.takeHeld(v, age, c.ID, &c.Limit, c.Cost, c.Trial)
	}
	t := c.tally
	t.Lock()
	if t.At(c.Number) != tally.Uncounted {
		d, ok = n.again(v, age, c), true
	} else if d, ok = n.takeHeld(v, age, c.ID, &c.Limit, c.Cost, c.Trial); ok && d.Allowed {
		n.note(c, age, d.Window)
	}
	t.Unlock()
	return d, ok
}

// note notes that a request was counted. The caller has its tally's lock.
func (n *Node) note(c *takeCall, age time.Duration, w limiter.Window) {
	c.tally.Set(c.Number, tally.Once, age)
	if c.Window = w; w == 0 {
		c.Window = n.window(c.ID, &c.Limit, age, false)
	}
	if c.Flags != 0 { // its asker may have asked for itself as well
		c.tally.SetWindow(c.Number, c.Window)
	}
}

// again answers a request that was counted before. The caller has its tally's lock.
func (n *Node) again(v *view, age time.Duration, c *takeCall) limiter.Decision {
	if c.tally.At(c.Number) == tally.Undone {
		return limiter.Decision{RetryAfter: time.Second} // nobody waits for it
	}
	c.tally.Set(c.Number, tally.Oftener, age)
	c.Window = c.tally.Window(c.Number)
	d, ok := n.takeHeld(v, age, c.ID, &c.Limit, 0, false)
	if !ok {
		d = limiter.Decision(n.ledger.Take(c.ID, wire.Budget(&c.Limit), 0, n.clock.Own(age), ledger.Share{}))
	}
	d.Allowed, d.RetryAfter = true, 0
	return d
}

// forget takes back what was counted of a request, once: in this process's own slot, in
// the window in which it was. asker says that the one who asks for it is the one who
// knows that nobody relies on it.
func (n *Node) forget(u *wire.Undone, asker bool) bool {
	age := n.clock.age()
	t := n.tallies.Of(u.Asker, age)
	t.Lock()
	defer t.Unlock()
	was := t.At(u.Number)
	if was == tally.Undone || was == tally.Oftener && !asker {
		return false
	}
	next := tally.Uncounted
	if asker {
		next = tally.Undone
	}
	t.Set(u.Number, next, age)
	if was == tally.Uncounted {
		return false
	}
	n.ledger.Refund(u.ID, wire.Budget(&u.Limit), u.Cost, n.clock.Own(age), u.Window)
	if u.Window.Noted() {
		n.holds.End(u.ID, u.Cost)
	}
	return true
}

// takeForced takes from this node's copies, once.
func (n *Node) takeForced(c *takeCall, age time.Duration, s ledger.Share) limiter.Decision {
	if c.Number == 0 {
		return n.forced(c, age, s)
	}
	c.tally.Lock()
	defer c.tally.Unlock()
	if c.tally.At(c.Number) != tally.Uncounted {
		return n.again(n.view.Load(), age, c)
	}
	d := n.forced(c, age, s)
	if d.Allowed {
		n.note(c, age, d.Window)
	}
	return d
}

func (n *Node) forced(c *takeCall, age time.Duration, s ledger.Share) limiter.Decision {
	d := limiter.Decision(n.ledger.Take(c.ID, wire.Budget(&c.Limit), c.Cost, n.clock.Own(age), s))
	if c.Trial && d.Allowed {
		d.Window = n.window(c.ID, &c.Limit, age, false)
	}
	return d
}
