package simnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one end of a stream. This file has what its process calls, stream.go what
// the kernels do. All fields are guarded by the network's mu.
type conn struct {
	net           *Network
	host          *Host
	peer          *conn
	local, remote *net.TCPAddr
	id            uint64

	received queue[[]byte] // arrived, not yet read; never empty slices
	unread   int           // bytes in received
	eof      bool          // the peer's FIN arrived
	readable sync.Cond
	read     deadline

	out      outbound // written, not yet at the peer
	writable sync.Cond
	write    deadline

	closed bool  // by this process
	err    error // why the stream failed: reset, timed out, or killed
}

func newConn(h *Host, local, remote *net.TCPAddr) *conn {
	h.net.nextID++
	c := &conn{
		net: h.net, host: h, local: local, remote: remote, id: h.net.nextID,
		readable: sync.Cond{L: &h.net.mu}, writable: sync.Cond{L: &h.net.mu},
	}
	// Made once, so that a write on a wire with latency allocates no closure.
	c.out.onArrival = func() {
		c.out.expected = false
		c.pumpLocked()
	}
	return c
}

// Read waits for bytes. Those that arrived before the stream failed come first.
func (c *conn) Read(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	for {
		c.host.gateLocked(&c.closed)
		// A past deadline comes before bytes that are there, as in package net: so
		// a caller can end a reader that is never short of bytes.
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.read.past():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case c.unread > 0:
			return c.takeLocked(b), nil
		case c.err != nil:
			return 0, c.fail("read", c.err)
		case c.eof:
			return 0, io.EOF
		}
		c.read.wait(&c.readable)
	}
}

// takeLocked fills b from as many arrived segments as it can hold. Each byte is
// copied once, and the window opens for the peer.
func (c *conn) takeLocked(b []byte) int {
	total := 0
	for total < len(b) && c.unread > 0 {
		first := c.received.first()
		k := copy(b[total:], *first)
		total += k
		c.unread -= k
		if *first = (*first)[k:]; len(*first) == 0 {
			c.received.pop()
		}
	}
	c.peer.writable.Broadcast()
	return total
}

// Write hands bytes to the kernel, and waits while the send buffer is full. That it
// returns says nothing of their arrival.
func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	total := 0
	for {
		c.host.gateLocked(&c.closed)
		switch {
		case c.closed:
			return total, c.fail("write", net.ErrClosed)
		case c.err != nil:
			return total, c.fail("write", c.err)
		case c.write.past():
			return total, c.fail("write", os.ErrDeadlineExceeded)
		}
		// What the peer has not read counts too: it stands for its receive window,
		// so a reader that has stalled stalls its writer.
		room := c.net.opt.SendBuffer - c.out.bytes - c.peer.unread
		if k := min(room, len(b)-total); k > 0 {
			c.sendLocked(data, append(make([]byte, 0, k), b[total:total+k]...))
			total += k
		}
		if total == len(b) {
			return total, nil
		}
		c.write.wait(&c.writable)
	}
}

// Close says FIN behind what was written, or resets the stream if bytes that arrived
// were never read, as Linux does.
func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	c.stopLocked()
	// Bytes that arrive later find the end closed, and reset the stream then.
	unread := c.unread > 0
	c.forgetReceivedLocked()
	c.host.whenRunningLocked(func() {
		switch {
		case c.err != nil: // it has ended already, and the peer knows or cannot know
		case unread:
			c.abortLocked()
		default:
			c.sendLocked(fin, nil)
		}
	})
	return nil
}

// stopLocked wakes every call in progress, for the last time.
func (c *conn) stopLocked() {
	c.read.stop()
	c.write.stop()
	c.readable.Broadcast()
	c.writable.Broadcast()
}

// forgetReceivedLocked drops what nobody will read, which opens the peer's window.
func (c *conn) forgetReceivedLocked() {
	c.received.reset()
	c.unread = 0
	c.peer.writable.Broadcast()
}

// LocalAddr is the address of this end.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the address of the other end.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline bounds Read, also one in progress.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline bounds Write, also one in progress.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *conn) setDeadline(t time.Time, read, write bool) error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	// A later deadline concerns calls in progress as well, so both wake their waiters.
	if read {
		c.read.set(t, &c.readable)
	}
	if write {
		c.write.set(t, &c.writable)
	}
	return nil
}

// fail wraps an error as package net does, so that errors.Is and Timeout work alike.
func (c *conn) fail(op string, err error) error {
	if no, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, no)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
