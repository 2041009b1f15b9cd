package simnet

import (
	"net"
	"net/netip"
	"sync"
)

// listener is the stream side of a port. Fields are guarded by the network's mu.
type listener struct {
	host    *Host
	addr    *net.TCPAddr
	pending queue[*conn] // complete handshakes: the kernel's accept queue
	arrived sync.Cond
	closed  bool
}

func newListener(h *Host, at netip.AddrPort) *listener {
	return &listener{host: h, addr: net.TCPAddrFromAddrPort(at), arrived: sync.Cond{L: &h.net.mu}}
}

// offerLocked puts a dialed stream into the accept queue if there is room. It is the
// kernel's doing: also for a process that is paused, and before anybody accepts.
func (l *listener) offerLocked(c *conn) bool {
	if l.pending.len() >= backlog {
		return false
	}
	l.pending.push(c)
	l.arrived.Signal()
	return true
}

// Accept waits for the next stream, which may have been reset, or hold bytes, by then.
func (l *listener) Accept() (net.Conn, error) {
	l.host.net.mu.Lock()
	defer l.host.net.mu.Unlock()
	for {
		l.host.gateLocked(&l.closed) // after each wait: it may have been paused meanwhile
		if l.closed {
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
		}
		if l.pending.len() > 0 {
			return l.pending.pop(), nil
		}
		l.arrived.Wait()
	}
}

// Close frees the port and resets the streams that nobody accepted.
func (l *listener) Close() error {
	l.host.net.mu.Lock()
	defer l.host.net.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.closeLocked()
	return nil
}

func (l *listener) closeLocked() {
	// The port is free at once; resetting strangers is the kernel's work, which a
	// paused process has not asked for yet.
	l.closed = true
	delete(l.host.listeners, l.addr.Port)
	l.arrived.Broadcast()
	l.host.whenRunningLocked(func() {
		for l.pending.len() > 0 {
			l.pending.pop().abortLocked()
		}
	})
}

// Addr is the address that was bound.
func (l *listener) Addr() net.Addr { return l.addr }
