package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// Goodbyes. Whoever has the secret can say that another node leaves, by gossip and on a
// connection that it opens in its name; and who leaves owns nothing any more. So the process is
// asked itself, on the connection to it that this node has. Who does not answer that is
// believed to leave: it does not take anything over anyway.

// hearGoodbye is for news that a living member leaves.
func (n *Node) hearGoodbye(who membership.Process) {
	if !n.members.AskGoodbye(who) {
		return
	}
	n.spawn(func() {
		defer n.members.AskedGoodbye(who)
		if m := n.members.Get(who.Name); m != nil && m.Process == who && n.parting(m) == wire.Stays {
			if n.members.Stays(who) { // else another process of that name has answered
				n.refuse(&n.refused.goodbyes, "goodbyes", who.Name)
			}
			return
		}
		if n.members.Goodbye(who) {
			n.kick(n.changed)
		}
	})
}

// parting asks a member whether it leaves.
func (n *Node) parting(m *membership.Member) wire.Parting {
	p, timeout := n.view.Load().byName[m.Name], verifyTimeout
	if p != nil && p.origin == m.Origin && p.addr == m.Addr {
		timeout = n.waitFor(p)
	} else {
		p = &peer{calls: n.dial(m.Name, m.Addr)}
		defer p.calls.Close()
	}
	var c wire.Time
	if p.calls.Call(n.ctx, time.Now().Add(timeout), wire.KindTime, &c) != nil {
		return wire.Untold
	}
	return c.Parting
}
