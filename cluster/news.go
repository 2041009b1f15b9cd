package cluster

import (
	"context"
	"time"
)

// How news of processes is judged. Gossip's news may be late, second-hand, and about the
// process that had a node's name before: a "left" or a "dead" of that one must not end
// the one that lives now, nor may an "alive" bring it back. So news belongs to a process,
// name and origin; and where it contradicts what is known, the node is asked itself, on a
// connection: it answers, and says which process it is, or it is gone.

const (
	verifyMax     = 5                      // times that a node is asked which gossip takes for gone
	verifyPause   = 250 * time.Millisecond // between two of those, for gossip to learn better
	verifyTimeout = 3 * time.Second        // for one that must be connected first
	retireAfter   = 10 * time.Second       // no call takes longer, nor what comes late
)

// heardOf notes who has opened a connection to this node. A restart is seen there before
// gossip tells of it.
func (n *Node) heardOf(h hello) {
	if h.name == n.cfg.Name {
		return
	}
	switch age, x := n.clock.age(), n.members.get(h.name); {
	case n.members.restarted(h.name, h.addr, h.origin, age):
		n.kick(n.changed)
		n.doubtNews(h.name) // gossip may never hear of it, if it ends at once
	case x != nil && x.addr == h.addr && x.origin > h.origin:
		n.doubtNews(h.name)
	}
	if !n.members.knows(h.name, h.origin) {
		n.meetAt(h.addr)
	}
}

// answeredBy notes who has answered at an address, just now.
func (n *Node) answeredBy(h hello, addr string) {
	if h.taken != "" {
		n.contend(h.taken)
	}
	if h.name == n.cfg.Name {
		if h.origin != n.origin {
			n.contend(addr)
		}
		return
	}
	if h.addr == addr && n.members.answered(h.name, addr, h.origin, n.clock.age()) {
		n.kick(n.changed)
		if m := n.members.get(h.name); m != nil && !m.agreed() {
			n.doubtNews(h.name)
		}
	}
	if !n.members.knows(h.name, h.origin) {
		n.meetAt(h.addr)
	}
}

// meetAt lets the rejoin goroutine exchange members with a node that knows others
// than we do. Gossip would do so, but may take ten seconds.
func (n *Node) meetAt(addr string) {
	select {
	case n.meet <- addr:
	default: // it is busy with others
	}
}

// doubtNews has a node asked which process it is, since gossip says otherwise than what is
// known, or nothing. One goroutine does so for each name.
func (n *Node) doubtNews(name string) {
	if n.members.doubt(name) {
		n.spawn(func() { n.verify(name) })
	}
}

// verify asks a node until gossip agrees with what it says, or it does not answer: then it
// is gone. To a living node that gossip takes for dead it tells so, which objects.
func (n *Node) verify(name string) {
	for try := 0; ; try++ {
		m, pause := n.members.get(name), verifyPause
		switch {
		case m == nil || m.agreed():
			pause = 0
		case !n.answers(m) || try > verifyMax && m.said > 0:
			n.lose(m) // unless another process has answered, or gossip has said so
			pause = 0
		case try > verifyMax:
			pause = time.Second
			fallthrough
		default:
			n.list.Join([]string{m.addr}) // to hear from itself that it lives
		}
		if n.members.settle(name) {
			return
		}
		select {
		case <-time.After(pause):
		case <-n.ctx.Done():
			return
		}
	}
}

// answers says whether a member answers a call. Its peer notes who answers, if it is
// another process than was known.
func (n *Node) answers(m *member) bool {
	p := n.view.Load().byName[m.name]
	timeout := verifyTimeout
	switch {
	case p == nil || p.addr != m.addr || p.origin != m.origin:
		p = &peer{calls: n.dial(m.name, m.addr)}
		defer p.calls.Close()
	case p.down.Load():
		return false // it is being asked all the time
	default:
		timeout = n.waitFor(p)
	}
	return p.calls.Call(n.ctx, time.Now().Add(timeout), kindTime, &timeCall{}) == nil
}

// lose takes a process for gone, unless there is news of it.
func (n *Node) lose(m *member) {
	if m != nil && n.members.lose(m, n.clock.age()) {
		n.kick(n.changed)
	}
}

// retire drops a peer that is no longer in the view. The calls that wait for its answer
// get it: it may have counted them, and nobody else must then.
func (n *Node) retire(p *peer) {
	p.retired.Store(true)
	end := func() {
		ctx, cancel := context.WithTimeout(n.ctx, retireAfter)
		defer cancel()
		p.calls.Retire(ctx)
	}
	if !n.spawn(end) {
		p.calls.Close()
	}
}
