package clustertest

import (
	"sync"
	"time"
)

// clock is a node's: the bubble's, with an error, and standing still while the node is
// paused. That is how a real process sees being stopped: it went on, and time jumped.
type clock struct {
	mu     sync.Mutex
	skew   time.Duration
	halted time.Time // zero while it runs
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.halted.IsZero() {
		return c.halted.Add(c.skew)
	}
	return time.Now().Add(c.skew)
}

func (c *clock) set(skew time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = skew
}

func (c *clock) halt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.halted.IsZero() {
		c.halted = time.Now()
	}
}

func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halted = time.Time{}
}
