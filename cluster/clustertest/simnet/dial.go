package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// errNoAnswer says that a SYN got lost: on the wire, or at a full accept queue.
var errNoAnswer = errors.New("no answer")

// Dial opens a stream to "ip:port". Where nothing answers (a cut, a crash, an address
// nobody has) it goes on until ctx ends, and gives up by itself after 127 seconds. A
// machine that is up but does not listen on the port refuses.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("simnet: dial %s: %w", addr, err)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	var c *conn
	if err = h.running(); err == nil {
		c, err = h.connect(ctx, to)
	}
	// The kernel may have finished while the process was paused or killed.
	if late := h.running(); late != nil && err == nil {
		err = late // Kill has reset the stream already
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	return c, nil
}

// running waits while the process is paused and fails once it is dead. Dial asks
// before and after, because in between it is the kernel that works.
func (h *Host) running() error {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.gateLocked(&h.dead); h.dead {
		return net.ErrClosed
	}
	return nil
}

// connect sends SYNs, with the kernel's backoff, until one is answered.
func (h *Host) connect(ctx context.Context, to netip.AddrPort) (*conn, error) {
	backoff := synWait
	for range synTries {
		c, err := h.handshake(ctx, to)
		if !errors.Is(err, errNoAnswer) {
			return c, err
		}
		if err := h.sleep(ctx, backoff); err != nil {
			return nil, err
		}
		backoff *= 2
	}
	return nil, os.NewSyscallError("connect", syscall.ETIMEDOUT)
}

// handshake sends one SYN and waits for what comes back.
func (h *Host) handshake(ctx context.Context, to netip.AddrPort) (*conn, error) {
	there, back, err := h.route(to.Addr())
	if err != nil {
		return nil, err
	}
	if err := h.sleep(ctx, there); err != nil {
		return nil, err
	}
	// From here on the peer may accept, while our side still waits for the answer.
	c, err := h.knock(to)
	if errors.Is(err, errNoAnswer) {
		return nil, err
	}
	// A refusal takes as long to come back as an acceptance.
	if gaveUp := h.sleep(ctx, back); gaveUp != nil {
		if c != nil {
			_ = c.Close()
		}
		return nil, gaveUp
	}
	return c, err
}

// route draws the delays of a handshake's two directions. Both must be open: with
// one cut, a stream never gets established on both sides.
func (h *Host) route(to netip.Addr) (there, back time.Duration, err error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stats.Dials++
	dst := n.byAddr[to]
	if dst == nil || !n.upLocked(h, dst) || !n.upLocked(dst, h) {
		return 0, 0, errNoAnswer
	}
	there, _ = n.linkLocked(h, dst)
	back, _ = n.linkLocked(dst, h)
	return there, back, nil
}

// knock is the SYN's arrival: it makes both ends and leaves one for Accept.
func (h *Host) knock(to netip.AddrPort) (*conn, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.dead {
		return nil, net.ErrClosed
	}
	dst := n.byAddr[to.Addr()]
	// Asked again: a wire may be cut, and a host replaced, while the SYN is on its way.
	if dst == nil || !n.upLocked(h, dst) || !n.upLocked(dst, h) {
		return nil, errNoAnswer
	}
	l := dst.listeners[int(to.Port())]
	if l == nil {
		return nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	// Local ports come round again after 25,536 dials. Streams are joined by
	// pointer, so two with the same ports cannot be mixed up.
	port := dialPorts + h.dialed%(portMax-dialPorts+1)
	near := net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.addr, uint16(port)))
	far := net.TCPAddrFromAddrPort(to)
	a, b := newConn(h, near, far), newConn(dst, far, near)
	a.peer, b.peer = b, a
	// A full queue drops the SYN, as Linux does by default, so the dialer waits
	// for its next one and is not refused.
	if !l.offerLocked(b) {
		return nil, errNoAnswer
	}
	h.dialed++
	h.conns[a], dst.conns[b] = struct{}{}, struct{}{}
	return a, nil
}

// sleep waits for d, unless ctx ends or the process dies before. With nothing to wait
// for it still fails when ctx has ended, so a dial under a dead context never succeeds.
func (h *Host) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.died:
		return net.ErrClosed
	}
}
