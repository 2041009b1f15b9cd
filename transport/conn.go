package transport

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// conn is the calling side of one connection. It has three goroutines: one reads
// answers, one writes, one sweeps calls that are due. The first error ends it for good;
// its reading goroutine then fails every call that is still under way.
type conn struct {
	link
	peer  *Peer
	epoch time.Time     // deadlines count from here
	heard atomic.Uint64 // how often something was received
	wake  chan struct{} // holds one signal: the writer has something to do
	dead  chan struct{} // closed with the first error
	timer *time.Timer   // runs out at the earliest deadline

	mu      sync.Mutex // guards what follows, and link.key; never held while calling out or writing
	slots   *slots
	out     []byte // requests not yet taken by the writer
	spare   []byte // the other buffer, nil while it is being written
	taken   uint64 // how many bytes were ever taken from out
	writing bool   // the writer is writing, or has been woken to
	armed   int64  // when the timer runs out
	err     error  // the first error
	mute    mute
	late    map[uint64]func([]byte, error) // calls that were given up, by id
	idle    chan struct{}                  // closed when nothing is under way; nil: nobody waits
}

func newConn(p *Peer, l link) *conn {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &conn{
		link:  l,
		peer:  p,
		epoch: time.Now(),
		wake:  make(chan struct{}, 1),
		dead:  make(chan struct{}),
		timer: timer,
		slots: newSlots(p.cfg.MaxInFlight),
		armed: never,
	}
}

// send queues a request and returns the slot and the id of its call. It never writes:
// a socket that is full would hold up the caller beyond its deadline.
func (c *conn) send(deadline time.Time, kind uint8, m Message, done func(error)) (*slot, uint64, error) {
	at := int64(deadline.Sub(c.epoch))
	c.mu.Lock()
	s, id, err := c.queueLocked(at, deadline, kind, m, done)
	wake := err == nil && !c.writing
	c.writing = c.writing || wake
	c.mu.Unlock()
	if wake {
		c.wake <- struct{}{} // never blocks: one signal per time that writing becomes true
	}
	return s, id, err
}

// queueLocked appends the request to out. What fails in here has left no trace.
func (c *conn) queueLocked(at int64, deadline time.Time, kind uint8, m Message, done func(error)) (*slot, uint64, error) {
	if c.err != nil {
		return nil, 0, errGone
	}
	if len(c.out) >= c.peer.cfg.MaxBuffer {
		return nil, 0, errBusy
	}
	// The clock is read only when the timer must be moved, which calls of similar
	// timeouts hardly ever cause.
	if at < c.armed {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, 0, errTimeoutUnsent
		}
		c.armed = at
		c.timer.Reset(left)
	}
	s, id := c.slots.take()
	if s == nil {
		return nil, 0, errBusy
	}
	start := len(c.out)
	c.out = m.AppendRequest(beginFrame(c.out, id, kind))
	if !endFrame(c.out, start) {
		c.out = c.out[:start]
		c.slots.give(s)
		return nil, 0, errTooLarge
	}
	s.msg, s.done = m, done
	s.deadline, s.start, s.heard = at, c.taken+uint64(start), c.heard.Load()
	s.id.Store(id)
	return s, id, nil
}

// swap gives the writer what is to be written next, nil when there is nothing, for the
// buffer that it has written. From here on the requests in it may reach the peer.
func (c *conn) swap(written []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spare == nil {
		c.spare = written[:0]
	}
	if c.err != nil || len(c.out) == 0 {
		c.writing = false
		return nil
	}
	buf := c.out
	c.taken += uint64(len(buf))
	c.out, c.spare = c.spare, nil
	return buf
}

// write is the writing goroutine. It has no write deadline of its own: every byte
// belongs to a call that has one, and with the first that is due with nothing received
// since, the time begins after which a silent connection ends.
func (c *conn) write() {
	var buf []byte
	for {
		select {
		case <-c.wake:
		case <-c.dead:
			return
		}
		for {
			// Whoever woke us is not alone: let those who are ready to run queue their
			// requests first, and one write will carry them all.
			runtime.Gosched()
			if buf = c.swap(buf); buf == nil {
				break
			}
			if _, err := c.conn.Write(buf); err != nil {
				c.fail(err)
				return
			}
		}
	}
}

// read is the reading goroutine. When it ends, the connection is over: whatever call
// is still under way fails, once.
func (c *conn) read() {
	c.fail(c.readAnswers())
	c.mu.Lock()
	left := c.slots.drain()
	sent, unsent := &CallError{Sent: true, Err: c.err}, &CallError{Err: c.err}
	taken, late := c.taken, c.late
	c.late = nil
	c.mu.Unlock()
	for _, f := range late {
		f(nil, sent)
	}
	for _, s := range left {
		if s.start < taken {
			c.finish(s, sent)
		} else {
			c.finish(s, unsent)
		}
	}
}

// readAnswers ends with the connection and says why. An answer to nobody is no error:
// a call that timed out does not take back its request.
func (c *conn) readAnswers() error {
	in := frameReader{src: c.conn}
	for {
		frame, err := in.next()
		if err != nil {
			return err
		}
		if frame == nil {
			if err := in.fill(); err != nil {
				return err
			}
			c.heard.Add(1)
			c.peer.hear()
			continue
		}
		id, status, body, ok := parseFrame(frame)
		if !ok {
			return ErrProtocol
		}
		s := c.slots.at(id)
		if s == nil || !s.claim(id) {
			c.answerLate(id, status, body)
			continue
		}
		c.finish(s, c.outcome(s.msg, status, body))
	}
}

// outcome lets the message read its answer, or makes an error of the answer.
func (c *conn) outcome(m Message, status uint8, body []byte) error {
	switch status {
	case statusOK:
		if err := m.ReadAnswer(body); err != nil {
			return &CallError{Sent: true, Err: err}
		}
		return nil
	}
	return failure(status, body)
}

// failure makes an error of an answer that is one.
func failure(status uint8, body []byte) error {
	switch status {
	case statusBusy:
		return errBusy
	case statusFailed:
		r := NewReader(body)
		if text := r.String(); r.Err() == nil {
			return &CallError{Sent: true, Err: RemoteError(text)}
		}
	}
	return &CallError{Sent: true, Err: fmt.Errorf("%w: an answer of status %d", ErrProtocol, status)}
}

// finish ends a call that this goroutine has claimed.
func (c *conn) finish(s *slot, err error) {
	done := s.done
	if done == nil {
		s.err = err
		s.ready <- struct{}{} // never blocks: one signal per call, and the caller takes it
		return
	}
	c.give(s)
	done(err)
}

func (c *conn) give(s *slot) {
	c.mu.Lock()
	c.slots.give(s)
	c.restLocked()
	c.mu.Unlock()
}

// fail ends the connection because of err, unless it has ended before.
func (c *conn) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	if err != ErrClosed {
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	c.err = err
	c.mu.Unlock()
	c.end(err)
}

// end is called once, by whoever set err. The peer forgets the connection first, so
// that a call which finds it dead finds a new one when it tries again.
func (c *conn) end(cause error) {
	c.peer.lost(c, cause)
	close(c.dead)
	_ = c.raw.Close()
}
