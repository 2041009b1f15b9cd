package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Two living nodes of one name: both would own what the name owns. The others know the
// one that they heard of first, and take the second for a stranger. Start fails where a
// seed knows the first one and that one answers. Where it comes out later, the younger of
// the two steps aside: it owns and holds nothing, and asks the other nodes, the older one
// among them, like any node that owns nothing, until the older one is gone.

// ErrNameTaken is wrapped by Start's error where another living node has Config.Name.
var ErrNameTaken = errors.New("the name is taken")

// contest is what a node knows of others that have its name.
type contest struct {
	mu      sync.Mutex
	at      map[string]int // addresses at which there may be one, and how often it did not answer
	running bool
	rival   atomic.Pointer[member] // the one for which this node has stepped aside; nil if there is none
}

const (
	contestMax   = 16 // addresses
	contestEvery = time.Second
	contestTries = 3
	sameAge      = 100 * time.Millisecond // lives that differ by less go by origin
)

// nameOf is the address of a living node that has the name of the one that says hello.
func (n *Node) nameOf(h hello) string {
	if n.stranger(h) {
		return n.members.get(h.name).addr
	}
	if h.name == n.cfg.Name && h.origin != n.origin {
		return n.addr.String()
	}
	return ""
}

// contend notes an address at which another node may have this one's name. It does not
// block.
func (n *Node) contend(addr string) {
	c := &n.contest
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[string]int{}
	}
	if _, known := c.at[addr]; !known && len(c.at) < contestMax && addr != n.addr.String() {
		c.at[addr] = 0
	}
	if !c.running && n.settled.Load() && len(c.at) > 0 {
		c.running = n.spawn(n.contested)
	}
}

// nameTaken is the error of a start that found an older node of this name.
func (n *Node) nameTaken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, seedTimeout)
	defer cancel()
	if x := n.olderNamesake(ctx); x != nil {
		return fmt.Errorf("cluster: Name %q: %w: the node at %s has it, and lives", n.cfg.Name, ErrNameTaken, x.addr)
	}
	return nil
}

// olderNamesake asks those that may have this node's name. It returns the one that
// answers, has it, and is older.
func (n *Node) olderNamesake(ctx context.Context) (x *member) {
	c := &n.contest
	c.mu.Lock()
	var addrs []string
	for addr := range c.at {
		addrs = append(addrs, addr)
	}
	c.mu.Unlock()
	for _, addr := range addrs {
		h, lived, err := n.knock(ctx, addr)
		c.mu.Lock()
		if c.at[addr]++; err == nil && h.name == n.cfg.Name && h.origin != n.origin {
			c.at[addr] = 0
			older := lived - n.clock.age()
			if older > sameAge || older > -sameAge && h.origin < n.origin {
				x = &member{name: h.name, addr: addr, origin: h.origin, live: true, said: 1}
			}
		} else if err == nil || c.at[addr] >= contestTries {
			delete(c.at, addr)
		}
		c.mu.Unlock()
	}
	return x
}

// contested runs for as long as there may be another node of this name.
func (n *Node) contested() {
	c := &n.contest
	for {
		was, is := c.rival.Load(), n.olderNamesake(n.ctx)
		c.mu.Lock()
		if len(c.at) > 0 && is == nil && was != nil {
			is = was // it may answer again
		}
		over := len(c.at) == 0
		if over {
			c.running = false
		}
		c.rival.Store(is)
		c.mu.Unlock()
		switch {
		case is != nil && was == nil:
			n.log.Error("another living node has this node's name; this one decides nothing while it lives",
				"node", n.cfg.Name, "addr", n.addr, "other", is.addr)
		case is == nil && was != nil:
			n.log.Warn("the other node of this name is gone", "node", n.cfg.Name, "other", was.addr)
		}
		if (is == nil) != (was == nil) || is != nil && is.origin != was.origin {
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

// stepAsideLocked gives up what this node holds: the other node of its name has it.
func (n *Node) stepAsideLocked(v *view) {
	for part := range n.ledger.Held().All() {
		n.ledger.Hold(part, false)
		n.lastHolder[part] = v.ownerName(part)
	}
}
