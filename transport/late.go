package transport

// What becomes of a call when its caller has gone: its answer may still come, and say
// that the peer did what was asked. That must not be lost on somebody who wants to know.

// keepLocked remembers a call that is given up and was sent. The reading goroutine looks
// under the same lock, so it cannot miss it.
func (c *conn) keepLocked(x call) {
	m, ok := x.msg.(LateMessage)
	if !ok || len(c.late) >= c.peer.cfg.MaxInFlight {
		return
	}
	f := m.Late()
	if f == nil {
		return
	}
	if c.late == nil {
		c.late = map[uint64]func([]byte, error){}
	}
	c.late[x.id] = f
}

// answerLate gives an answer to whoever was remembered, if somebody was.
func (c *conn) answerLate(id uint64, status uint8, body []byte) {
	c.mu.Lock()
	f := c.late[id]
	delete(c.late, id)
	c.mu.Unlock()
	switch {
	case f == nil:
	case status == statusOK:
		f(body, nil)
	default:
		f(nil, failure(status, body))
	}
	if f != nil {
		c.mu.Lock()
		c.restLocked()
		c.mu.Unlock()
	}
}

// whenIdle returns a channel that is closed when no call is under way any more.
func (c *conn) whenIdle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.restLocked()
	return idle
}

// restLocked tells who waits that nothing is under way.
func (c *conn) restLocked() {
	if c.idle != nil && c.slots.used == 0 && len(c.late) == 0 {
		close(c.idle)
		c.idle = nil
	}
}
