package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// Two living nodes of one name: both would own what the name owns. The others know the
// one that they heard of first, and take the second for a stranger. Start fails where a
// seed knows the first one and that one answers. Where it comes out later, the younger of
// the two steps aside: it owns and holds nothing, and asks the other nodes, the older one
// among them, like any node that owns nothing, until the older one is gone.

// ErrNameTaken is wrapped by Start's error where another living node has Config.Name.
var ErrNameTaken = errors.New("the name is taken")

const contestEvery = time.Second // between two questions who has the name

// nameOf is the address of a living node that has the name of the one that says hello.
func (n *Node) nameOf(h wire.Hello) string {
	if x := n.members.Namesake(processOf(h), h.Addr); x != nil {
		return x.Addr
	}
	if h.Name == n.cfg.Name && h.Origin != n.origin {
		return n.addr.String()
	}
	return ""
}

// contend notes an address at which another node may have this one's name. It does not
// block.
func (n *Node) contend(addr string) {
	if addr != n.addr.String() {
		n.contest.Suspect(addr)
	}
	if n.settled.Load() && n.contest.Begin() {
		n.spawn(n.contested)
	}
}

// nameTaken is the error of a start that found an older node of this name.
func (n *Node) nameTaken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	if x := n.olderNamesake(ctx); x != nil {
		return fmt.Errorf("cluster: Name %q: %w: the node at %s has it, and lives", n.cfg.Name, ErrNameTaken, x.Addr)
	}
	return nil
}

// olderNamesake asks those that may have this node's name. It returns the one that
// answers, has it, and is older.
func (n *Node) olderNamesake(ctx context.Context) (older *membership.Member) {
	for _, addr := range n.contest.Suspects() {
		h, lived, err := n.knock(ctx, addr)
		if err != nil {
			n.contest.Silent(addr)
		} else if x := n.contest.Answered(addr, processOf(h), lived-n.clock.age()); x != nil {
			older = x
		}
	}
	return older
}

// contested runs for as long as there may be another node of this name.
func (n *Node) contested() {
	for {
		was, is, over := n.contest.Decide(n.olderNamesake(n.ctx))
		switch {
		case is != nil && was == nil:
			n.log.Error("another living node has this node's name; this one decides nothing while it lives",
				"addr", n.addr, "other", is.Addr)
		case is == nil && was != nil:
			n.log.Warn("the other node of this name is gone", "other", was.Addr)
		}
		if (is == nil) != (was == nil) || is != nil && is.Process != was.Process {
			n.kick(n.changed)
		}
		if over {
			return
		}
		select {
		case <-time.After(contestEvery):
		case <-n.ctx.Done():
			return
		}
	}
}
