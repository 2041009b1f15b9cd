package membership

import (
	"sync"
	"sync/atomic"
	"time"
)

// Contest is what a node knows of others that have its name. The others know the one that
// they heard of first, and take the second for a stranger. Of two that live the younger
// steps aside: it owns and holds nothing until the older one is gone. A Contest is safe for
// concurrent use.
type Contest struct {
	self Process

	mu    sync.Mutex
	at    map[string]int // addresses at which there may be one, and how often it did not answer
	asked bool           // by somebody, until nothing is left to find out
	rival atomic.Pointer[Member]
}

const (
	contestMost  = 16 // addresses
	contestTries = 3
	sameAge      = 100 * time.Millisecond // lives that differ by less go by origin
)

// NewContest knows of no other.
func NewContest(self Process) *Contest { return &Contest{self: self, at: map[string]int{}} }

// Rival is the one for which this node has stepped aside; nil if there is none.
func (c *Contest) Rival() *Member { return c.rival.Load() }

// Suspect notes an address at which another node may have this one's name.
func (c *Contest) Suspect(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.at[addr]; !known && len(c.at) < contestMost {
		c.at[addr] = 0
	}
}

// Begin says whether the caller is the one to find out who has the name: see Decide.
func (c *Contest) Begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked || len(c.at) == 0 {
		return false
	}
	c.asked = true
	return true
}

// Suspects are the addresses to ask at.
func (c *Contest) Suspects() (addrs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr := range c.at {
		addrs = append(addrs, addr)
	}
	return addrs
}

// Silent notes that nobody answered at an address.
func (c *Contest) Silent(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[addr]++; c.at[addr] >= contestTries {
		delete(c.at, addr)
	}
}

// Answered notes which process answered at an address, and by how much longer it has lived
// than this one. It returns it, if it has this node's name and is the older one.
func (c *Contest) Answered(addr string, p Process, older time.Duration) *Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Name != c.self.Name || p.Origin == c.self.Origin {
		delete(c.at, addr)
		return nil
	}
	c.at[addr] = 0
	if older > sameAge || older > -sameAge && p.Origin < c.self.Origin {
		return &Member{Process: p, Addr: addr, Live: true, said: 1}
	}
	return nil
}

// Decide makes the older node that was found, or nil, the rival. While one that does not
// answer may do so again, it stays. over says that there is nothing left to ask.
func (c *Contest) Decide(found *Member) (was, is *Member, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	over = len(c.at) == 0
	if was, is = c.rival.Load(), found; is == nil && !over {
		is = was
	}
	if over {
		c.asked = false
	}
	c.rival.Store(is)
	return was, is, over
}
