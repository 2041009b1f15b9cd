package clustertest

import (
	"sync"
	"time"
)

// clock is a node's: the bubble's, with an error, too fast or too slow, and standing still while the node is
// paused. That is how a real process sees being stopped: it went on, and time jumped.
type clock struct {
	mu     sync.Mutex
	skew   time.Duration
	ppm    int64     // by how much it is too fast
	since  time.Time // from when on
	halted time.Time // zero while it runs
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := time.Now()
	if !c.halted.IsZero() {
		at = c.halted
	}
	drift := time.Duration(0)
	if c.ppm != 0 {
		drift = at.Sub(c.since) / 1e6 * time.Duration(c.ppm)
	}
	return at.Add(c.skew + drift)
}

// drift makes the clock run too fast from now on, or too slow.
func (c *clock) drift(ppm int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ppm, c.since = ppm, time.Now()
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
