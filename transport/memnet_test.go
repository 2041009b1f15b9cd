package transport

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memPipe is one direction of a connection in memory. Like the kernel's it holds some
// bytes, so that a write does not wait for a read; and its wire can be cut, which
// neither end notices.
type memPipe struct {
	mu       sync.Mutex
	buf      []byte
	size     int
	cut      bool
	closed   bool // no more bytes will come, or be taken
	readBy   time.Time
	writeBy  time.Time
	changed  chan struct{} // closed and replaced whenever something changes
	received int           // bytes ever read
}

func newMemPipe(size int) *memPipe { return &memPipe{size: size, changed: make(chan struct{})} }

func (p *memPipe) update(change func()) {
	p.mu.Lock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
}

// wait repeats step under the lock until it is done, or the deadline has passed.
func (p *memPipe) wait(deadline *time.Time, step func() bool) error {
	for {
		p.mu.Lock()
		if step() {
			close(p.changed)
			p.changed = make(chan struct{})
			p.mu.Unlock()
			return nil
		}
		changed, by := p.changed, *deadline
		p.mu.Unlock()
		var timeout <-chan time.Time
		if !by.IsZero() {
			left := time.Until(by)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			timeout = time.After(left)
		}
		select {
		case <-changed:
		case <-timeout:
		}
	}
}

func (p *memPipe) read(b []byte) (n int, err error) {
	werr := p.wait(&p.readBy, func() bool {
		switch {
		case len(p.buf) > 0 && !p.cut:
			n = copy(b, p.buf)
			p.buf = p.buf[n:]
			p.received += n
		case p.closed && !p.cut:
			err = io.EOF
		default:
			return false
		}
		return true
	})
	if werr != nil {
		err = werr
	}
	return n, err
}

func (p *memPipe) write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		werr := p.wait(&p.writeBy, func() bool {
			if p.closed {
				err = io.ErrClosedPipe
				return true
			}
			k := min(p.size-len(p.buf), len(b))
			p.buf = append(p.buf, b[:k]...)
			b, n = b[k:], n+k
			return k > 0
		})
		if werr != nil {
			err = werr
		}
	}
	return n, err
}

// memConn is one end.
type memConn struct {
	in, out *memPipe
	once    sync.Once
	closed  chan struct{}
}

// memPair returns the two ends of a connection that holds size bytes each way.
func memPair(size int) (a, b *memConn) {
	there, back := newMemPipe(size), newMemPipe(size)
	return &memConn{in: back, out: there, closed: make(chan struct{})},
		&memConn{in: there, out: back, closed: make(chan struct{})}
}

// setCut cuts the wire in both directions, or mends it.
func (c *memConn) setCut(cut bool) {
	c.in.update(func() { c.in.cut = cut })
	c.out.update(func() { c.out.cut = cut })
}

func (c *memConn) Read(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	n, err := c.in.read(b)
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *memConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *memConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.out.update(func() { c.out.closed = true })
		// Our own reader wakes up even when the wire is cut.
		c.in.update(func() { c.in.closed, c.in.readBy = true, time.Unix(1, 0) })
	})
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.update(func() { c.in.readBy = t })
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.update(func() { c.out.writeBy = t })
	return nil
}

func (c *memConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "mem" }
func (memAddr) String() string  { return "mem" }

// memNet is a Dial function whose connections arrive at a serve function.
type memNet struct {
	size  int
	serve func(net.Conn)

	mu    sync.Mutex
	fail  error      // what dialling fails with
	dials int        // how often it was tried
	conns []*memConn // the dialling ends
}

func (n *memNet) dial(context.Context, string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	if n.fail != nil {
		defer n.mu.Unlock()
		return nil, n.fail
	}
	a, b := memPair(n.size)
	n.conns = append(n.conns, a)
	n.mu.Unlock()
	n.serve(b)
	return a, nil
}

func (n *memNet) setFail(err error) {
	n.mu.Lock()
	n.fail = err
	n.mu.Unlock()
}

func (n *memNet) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// last returns the dialling end of the newest connection.
func (n *memNet) last() *memConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns[len(n.conns)-1]
}
