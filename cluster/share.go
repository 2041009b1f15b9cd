package cluster

import "sync/atomic"

// What one peer may take of the places for requests that wait. Some cannot be answered at once,
// and have a goroutine, or a line in a queue, until they can. A peer may have as many of those as
// are left free: so however much one of them asks, and on however many connections, half of all
// places are for the others. Who is no member as far as this node knows, under whatever names,
// counts as one peer.

const (
	passingMax = 4096 // requests that are passed on, or wait until they can be decided
	aidingMax  = 1024 // recalls that wait for a slice, and what voters send each other
	claimQueue = 64   // claims that wait for the loop
)

// places are for requests of one kind.
type places struct{ used atomic.Int64 }

// take takes one of most places for a peer that has some already, and says whether there was one.
func (x *places) take(has *atomic.Int64, most int64) bool {
	if used, mine := x.used.Add(1), has.Add(1); mine <= most-used+1 {
		return true
	}
	x.leave(has)
	return false
}

// leave gives one back.
func (x *places) leave(has *atomic.Int64) {
	has.Add(-1)
	x.used.Add(-1)
}

// waits are the places of a node.
type waits struct {
	passing, aiding, claiming places

	strangers shares // of those that are no members
}

// shares are how many of them a peer has.
type shares struct{ passing, aiding, claiming atomic.Int64 }

// sharesOf are those of the process at the other end of a connection.
func (n *Node) sharesOf(from *session) *shares {
	if p := n.view.Load().byName[from.Name]; p != nil && p.origin == from.Origin {
		return &p.shares
	}
	return &n.waits.strangers
}

// aid runs f for a peer on a goroutine of its own, and says why not.
func (n *Node) aid(from *session, f func()) error {
	has := &n.sharesOf(from).aiding
	if !n.waits.aiding.take(has, aidingMax) {
		return errTooMany
	}
	if n.spawn(func() { defer n.waits.aiding.leave(has); f() }) {
		return nil
	}
	n.waits.aiding.leave(has)
	return errStopped
}
