package simnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

var errNotUDP = errors.New("address is not a *net.UDPAddr")

// packet is one datagram. Its bytes are a copy, shared by duplicates and read only.
type packet struct {
	bytes []byte
	from  *net.UDPAddr
}

// packetConn is the packet side of a port. Fields are guarded by the network's mu.
type packetConn struct {
	host     *Host
	addr     *net.UDPAddr // as bound
	from     *net.UDPAddr // as receivers see it; built once, not per packet
	received queue[packet]
	readable sync.Cond
	read     deadline
	write    deadline // WriteTo never waits for room, it only looks at this
	closed   bool
}

func newPacketConn(h *Host, at netip.AddrPort) *packetConn {
	return &packetConn{
		host:     h,
		addr:     net.UDPAddrFromAddrPort(at),
		from:     net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.addr, at.Port())),
		readable: sync.Cond{L: &h.net.mu},
	}
}

// ReadFrom waits for a packet. One longer than b is cut short, as UDP does.
func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	p.host.net.mu.Lock()
	defer p.host.net.mu.Unlock()
	for {
		p.host.gateLocked(&p.closed)
		switch {
		case p.closed:
			return 0, nil, p.fail("read", net.ErrClosed)
		case p.read.past():
			return 0, nil, p.fail("read", os.ErrDeadlineExceeded)
		case p.received.len() > 0:
			// The rest of a long packet is gone, it does not come with the next read.
			got := p.received.pop()
			return copy(b, got.bytes), got.from, nil
		}
		p.read.wait(&p.readable)
	}
}

// WriteTo sends a packet to a *net.UDPAddr. That it got lost is not reported.
func (p *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	dst, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, p.fail("write", errNotUDP)
	}
	n := p.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	p.host.gateLocked(&p.closed)
	switch {
	case p.closed:
		return 0, p.fail("write", net.ErrClosed)
	case p.write.past():
		return 0, p.fail("write", os.ErrDeadlineExceeded)
	case len(b) > packetMax: // larger than IPv4 can carry; smaller ones always fit
		return 0, p.fail("write", os.NewSyscallError("sendto", syscall.EMSGSIZE))
	}
	at := dst.AddrPort()
	n.sendPacketLocked(p, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), b)
	return len(b), nil
}

// sendPacketLocked puts b on the wire: not at all, once or twice.
func (n *Network) sendPacketLocked(p *packetConn, to netip.AddrPort, b []byte) {
	n.stats.Packets++
	n.stats.Bytes += len(b)
	// Dropped at once if the wire is cut now, though it might be mended while the
	// packet is under way: the cut is at the sender's end.
	dst := n.byAddr[to.Addr()]
	if dst == nil || !n.upLocked(p.host, dst) {
		n.stats.CutDrops++
		return
	}
	pkt := packet{from: p.from}
	copies := 1
	if n.chanceLocked(n.opt.Duplicate) {
		copies = 2
	}
	for range copies {
		// Each copy has its own delay and its own luck, so a duplicate may overtake.
		delay, loss := n.linkLocked(p.host, dst)
		if n.chanceLocked(loss) {
			n.stats.Lost++
			continue
		}
		if n.opt.LateMax > 0 && dst != p.host && n.chanceLocked(n.opt.Late) {
			n.stats.Late++
			delay += time.Duration(n.rng.Int64N(int64(n.opt.LateMax)))
		}
		// Copied only now: lost packets are the common case in a test of loss.
		if pkt.bytes == nil {
			pkt.bytes = append(make([]byte, 0, len(b)), b...)
		}
		if delay <= 0 {
			n.arriveLocked(p.host, to, pkt)
			continue
		}
		n.arriveAfterLocked(delay, p.host, to, pkt)
	}
}

// arriveAfterLocked is apart so that only packets with a delay pay for a closure.
func (n *Network) arriveAfterLocked(delay time.Duration, src *Host, to netip.AddrPort, pkt packet) {
	n.plan.after(delay, func() { n.arriveLocked(src, to, pkt) })
}

// arriveLocked puts a packet into the queue of whoever has the address by now.
func (n *Network) arriveLocked(src *Host, to netip.AddrPort, pkt packet) {
	dst := n.byAddr[to.Addr()]
	if dst == nil || !n.upLocked(src, dst) {
		n.stats.CutDrops++
		return
	}
	p := dst.sockets[int(to.Port())]
	if p == nil {
		return // nobody listens: UDP says nothing to an unconnected sender
	}
	if p.received.len() >= n.opt.PacketQueue {
		n.stats.QueueDrops++
		return
	}
	p.received.push(pkt)
	p.readable.Signal()
}

// Close ends ReadFrom and frees the port.
func (p *packetConn) Close() error {
	p.host.net.mu.Lock()
	defer p.host.net.mu.Unlock()
	if p.closed {
		return p.fail("close", net.ErrClosed)
	}
	p.closeLocked()
	return nil
}

// closeLocked throws away what was not read: a socket's buffer dies with it. A paused
// process's reader need not wait for the resume.
func (p *packetConn) closeLocked() {
	p.closed = true
	delete(p.host.sockets, p.addr.Port)
	p.received.reset()
	p.read.stop()
	p.readable.Broadcast()
	p.host.resumed.Broadcast()
}

// LocalAddr is the address that was bound.
func (p *packetConn) LocalAddr() net.Addr { return p.addr }

// SetDeadline sets both deadlines.
func (p *packetConn) SetDeadline(t time.Time) error { return p.setDeadline(t, true, true) }

// SetReadDeadline bounds ReadFrom, also one in progress.
func (p *packetConn) SetReadDeadline(t time.Time) error { return p.setDeadline(t, true, false) }

// SetWriteDeadline makes WriteTo fail from t on.
func (p *packetConn) SetWriteDeadline(t time.Time) error { return p.setDeadline(t, false, true) }

func (p *packetConn) setDeadline(t time.Time, read, write bool) error {
	p.host.net.mu.Lock()
	defer p.host.net.mu.Unlock()
	if p.closed {
		return p.fail("set", net.ErrClosed)
	}
	if read {
		p.read.set(t, &p.readable)
	}
	if write {
		p.write.at = t
	}
	return nil
}

// fail wraps an error as package net does.
func (p *packetConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: p.addr, Err: err}
}
