package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// What connections tell of who lives, and how a node is asked where that contradicts
// gossip. Package membership judges.

const (
	verifyTimeout = 3 * time.Second  // for one that must be connected first
	retireAfter   = 10 * time.Second // no call takes longer, nor what comes late
)

// heardOf notes who has opened a connection to this node. A restart is seen there before
// gossip tells of it.
func (n *Node) heardOf(h wire.Hello) {
	if h.Name == n.cfg.Name {
		return
	}
	switch x := n.members.Get(h.Name); {
	case n.members.Restarted(processOf(h), h.Addr, n.clock.age()):
		n.kick(n.changed)
		n.doubtNews(h.Name) // gossip may never hear of it, if it ends at once
	case x != nil && x.Addr == h.Addr && x.Origin > h.Origin:
		n.doubtNews(h.Name)
	}
	if !n.members.Knows(processOf(h)) {
		n.meetAt(h.Addr)
	}
}

// answeredBy notes who has answered at an address, just now.
func (n *Node) answeredBy(h wire.Hello, addr string) {
	if h.Taken != "" {
		n.contend(h.Taken)
	}
	if h.Name == n.cfg.Name {
		if h.Origin != n.origin {
			n.contend(addr)
		}
		return
	}
	if h.Addr == addr && n.members.Answered(processOf(h), addr, n.clock.age()) {
		n.kick(n.changed)
		if m := n.members.Get(h.Name); m != nil && !m.Agreed() {
			n.doubtNews(h.Name)
		}
	}
	if !n.members.Knows(processOf(h)) {
		n.meetAt(h.Addr)
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
	if n.members.Doubt(name) {
		n.spawn(func() { n.verify(name) })
	}
}

// verify asks a node until gossip agrees with what it says, or it does not answer: then it
// is gone. To a living node that gossip takes for dead it tells so, which objects.
func (n *Node) verify(name string) {
	for nth := 0; ; nth++ {
		m, todo := n.members.Get(name), membership.Verdict{}
		if m != nil && !m.Agreed() {
			todo = membership.Judge(m, n.answers(m), nth)
		}
		if todo.Gone && n.members.Lose(m, n.clock.age()) {
			n.kick(n.changed)
		}
		if todo.Remind {
			n.gossip.Join(m.Addr) // to hear from itself that it lives
		}
		if n.members.Settled(name) {
			return
		}
		select {
		case <-time.After(todo.Pause):
		case <-n.ctx.Done():
			return
		}
	}
}

// answers says whether a member answers a call. Its peer notes who answers, if it is
// another process than was known.
func (n *Node) answers(m *membership.Member) bool {
	p := n.view.Load().byName[m.Name]
	timeout := verifyTimeout
	switch {
	case p == nil || p.addr != m.Addr || p.origin != m.Origin:
		p = &peer{calls: n.dial(m.Name, m.Addr)}
		defer p.calls.Close()
	case p.down.Load():
		return false // it is being asked all the time
	default:
		timeout = n.waitFor(p)
	}
	return p.calls.Call(n.ctx, time.Now().Add(timeout), wire.KindTime, &wire.Time{}) == nil
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
