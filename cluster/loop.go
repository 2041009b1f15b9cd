package cluster

import "time"

// What a node does by itself: one goroutine looks at whatever has changed, in one
// order. It sleeps where there is nothing to do.

const (
	heartbeat = 100 * time.Millisecond // the loop runs at least as often while there is something to do
	handBeat  = 20 * time.Millisecond  // while partitions are to change hands
	idleBeat  = syncPeriod             // and otherwise
)

// loop is the node's one heartbeat: new views, hand-over, shipping, clocks.
func (n *Node) loop() {
	every := min(n.cfg.FlushInterval, heartbeat)
	tick, pace := time.NewTicker(every), every
	defer tick.Stop()
	var synced, slewed, flushed time.Duration
	var asked []asking
	revise := n.reviseAt(n.clock.age())
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.changed:
			n.kick(n.changed)
		case <-n.flush:
			flushed = 0
		case <-n.steps:
			n.stepClock()
		case c := <-n.claims:
			asked = append(asked, c)
		case <-tick.C:
		}
		ended := func() {}
		if n.cfg.lap != nil {
			ended = n.cfg.lap()
		}
		age := n.clock.refresh()
		n.wakeUp(age)
		n.clock.Slew(age - slewed)
		slewed = age

		changed, contactIn := n.contact(n.view.Load())
		select {
		case <-n.changed:
			changed = true
		default:
		}
		if changed || age >= revise {
			n.rebuild()
			revise = n.reviseAt(age)
			synced = 0
		}
		n.answerClaims(asked)
		asked = asked[:0]
		n.handOver()
		n.askVouchers(n.view.Load())
		n.becameWhole()
		if flushed == 0 || age-flushed >= n.cfg.FlushInterval-heartbeat/2 {
			flushed = age
			n.ship()
		}
		v := n.view.Load()
		period := synced == 0 || age-synced >= syncPeriod
		if period {
			synced = age
			n.lookAtWall(n.view.Load())
		}
		if period || n.remeasure.Load() || n.disagree(v) {
			n.syncClocks(v, period)
		}
		if next := n.pace(every, min(revise-age, contactIn)); next != pace {
			pace = next
			tick.Reset(pace)
		}
		ended()
	}
}

// What calls find of the loop.
const (
	loopBusy   = iota
	loopCalm   // it had nothing to do: a call makes it busy again
	loopAsleep // nor had it a beat later, and no call came: a call must wake it
)

// pace is how long the loop may sleep, if the view changes by itself after a time.
func (n *Node) pace(every, revise time.Duration) time.Duration {
	v := n.view.Load()
	if n.seats.waiting.Load() > 0 || n.holdsOthers(v) || n.seats.ceded.Load() > 0 || n.disagree(v) {
		n.resting.Store(loopBusy)
		return min(every, handBeat) // requests take a detour until it has changed hands
	}
	if n.ledger.HasDue().Len() > 0 || n.behind.Load() != 0 || n.leases.Leased() > 0 || n.leaving.Load() ||
		!v.caught || n.clock.Error() != 0 {
		n.resting.Store(loopBusy)
		return every
	}
	if n.resting.CompareAndSwap(loopBusy, loopCalm) {
		return every
	}
	n.resting.CompareAndSwap(loopCalm, loopAsleep)
	if n.resting.Load() == loopAsleep {
		return max(every, min(idleBeat, revise))
	}
	return every
}

// holdsOthers says whether this node holds a partition that another one owns.
func (n *Node) holdsOthers(v *view) bool {
	for part := range n.ledger.Held().All() {
		if !v.owns(part) {
			return true
		}
	}
	return false
}

// rouse is for calls that may leave something to do.
func (n *Node) rouse() {
	if n.resting.Load() != loopBusy && n.resting.Swap(loopBusy) == loopAsleep {
		n.kick(n.flush)
	}
}

// kick makes the loop look at something; it never blocks.
func (n *Node) kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will
	}
}
