package cluster

import "time"

// Whether this process was stopped, as by SIGSTOP or with its machine: then the others may
// have replaced it, and it must not go on as if nothing had happened. One goroutine does
// nothing but look at the clock. It is not the loop, which may be at work for long: whoever
// finds that the last look was too long ago, finds that nothing ran at all.

// pausedAfter is how long ago the last look may be before the node doubts that it is still
// what the others take it for. Gossip needs longer to replace a node.
const pausedAfter = time.Second

// watch looks at the clock, more often while there is something to do.
func (n *Node) watch() {
	every := heartbeat
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		age := n.clock.refresh()
		n.wakeUp(age)
		n.ticked.Store(int64(age))
		next := heartbeat
		if n.resting.Load() == loopAsleep {
			next = watchIdle
		}
		if next != every {
			every = next
			tick.Reset(every)
		}
	}
}

const watchIdle = 500 * time.Millisecond // between two looks, where nothing happens

// awake is this node's age. It sees to it that the loop is awake, and that a node that
// was stopped doubts before it decides.
func (n *Node) awake() time.Duration {
	n.rouse()
	age := n.clock.read()
	if age-time.Duration(n.ticked.Load()) > pausedAfter {
		n.wakeUp(age)
	}
	return age
}

// wakeUp doubts once per pause. Who comes meanwhile waits until that is done: what had
// queued while the process was stopped must not be served as if nothing had happened.
func (n *Node) wakeUp(age time.Duration) {
	if age-time.Duration(n.ticked.Load()) <= pausedAfter {
		return
	}
	n.wakeMu.Lock()
	defer n.wakeMu.Unlock()
	if age-time.Duration(n.ticked.Load()) > pausedAfter {
		n.epoch.Add(1)
		n.doubt()
		n.ticked.Store(int64(age))
	}
}
