// Package port is the one address of a node, for calls and for gossip. Streams that come in
// begin with the mark of one or of the other; anything else is closed, before any of its
// bytes reaches a decoder. Packets are gossip.
package port

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/weir-go/weir/transport"
)

// Network is where streams come from and go to.
type Network interface {
	// Listen opens one port for streams and packets.
	Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error)
	// Dial opens a stream.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Port hands streams to memberlist or to the transport. To memberlist it is its transport.
type Port struct {
	network Network
	zone    string // of link-local addresses
	ln      net.Listener
	pc      net.PacketConn
	calls   func(net.Conn) // takes a stream over; must not block for long

	packets chan *memberlist.Packet
	streams chan net.Conn
	judging chan struct{} // one token per stream that has not said what it is
	gossips chan struct{} // closed when gossip may come in: see Listen

	ctx    context.Context // ends with the port
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	young  map[net.Conn]struct{} // streams in judging, to be closed with the port
}

var _ memberlist.NodeAwareTransport = (*Port)(nil)

const (
	GossipMark     = 244 // first byte of what is gossip: memberlist's label header, which all of ours carries
	judgingMax     = 128 // streams that may be silent at a time
	judgingTimeout = 2 * time.Second
	packetQueue    = 256
	packetMax      = 64 << 10
)

// Open opens a port. Streams of calls go to calls, which must not block for long. zone is
// for link-local addresses.
func Open(ctx context.Context, nw Network, addr, zone string, calls func(net.Conn)) (*Port, error) {
	ln, pc, err := nw.Listen(ctx, addr)
	if err != nil {
		return nil, err // it names the address
	}
	p := &Port{network: nw, zone: zone, ln: ln, pc: pc, calls: calls,
		packets: make(chan *memberlist.Packet, packetQueue), streams: make(chan net.Conn),
		judging: make(chan struct{}, judgingMax), gossips: make(chan struct{}), young: map[net.Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	p.wg.Go(p.receive)
	return p, nil
}

// Listen lets gossip in. Before memberlist has said to itself that it lives, it must hear
// nothing: news of the process that had its name a moment ago would become its own state,
// metadata included, and it would tell the others so for as long as it lives. Packets get
// lost until then, and streams wait.
func (p *Port) Listen() { close(p.gossips) }

// Addr is the address that was bound.
func (p *Port) Addr() netip.AddrPort { return p.ln.Addr().(*net.TCPAddr).AddrPort() }

func (p *Port) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			select { // out of file descriptors, or such: it may pass
			case <-time.After(50 * time.Millisecond):
				continue
			case <-p.ctx.Done():
				return
			}
		}
		select {
		case p.judging <- struct{}{}:
			p.wg.Go(func() { p.judge(c) })
		default:
			c.Close() // too many that say nothing
		}
	}
}

// judge reads the first byte of a stream and hands it to whom it is for.
func (p *Port) judge(c net.Conn) {
	defer func() { <-p.judging }()
	if !p.setYoung(c, true) {
		c.Close()
		return
	}
	head := make([]byte, 1)
	c.SetReadDeadline(time.Now().Add(judgingTimeout))
	_, err := c.Read(head)
	p.setYoung(c, false)
	if err != nil {
		c.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	switch u := transport.Unread(c, head); head[0] {
	case transport.Preface[0]:
		p.calls(u)
	case GossipMark:
		select {
		case <-p.gossips:
		case <-p.ctx.Done():
			c.Close()
			return
		}
		select {
		case p.streams <- u:
		case <-p.ctx.Done():
			c.Close()
		}
	default:
		c.Close()
	}
}

func (p *Port) setYoung(c net.Conn, young bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !young {
		delete(p.young, c)
		return true
	}
	p.young[c] = struct{}{}
	return p.ctx.Err() == nil
}

func (p *Port) receive() {
	buf := make([]byte, packetMax)
	for {
		n, from, err := p.pc.ReadFrom(buf)
		if err != nil {
			if p.ctx.Err() != nil {
				return
			}
			continue // an ICMP error of an earlier packet, for example
		}
		select {
		case <-p.gossips:
		default:
			continue
		}
		if n == 0 || buf[0] != GossipMark {
			continue
		}
		pkt := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case p.packets <- pkt:
		case <-p.ctx.Done():
			return
		}
	}
}

// PacketCh, StreamCh and the rest are memberlist's Transport.
func (p *Port) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh gives the gossip streams that came in.
func (p *Port) StreamCh() <-chan net.Conn { return p.streams }

// FinalAdvertiseAddr returns what Open's caller has decided already.
func (p *Port) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, 0, fmt.Errorf("advertise address %q: %w", ip, err)
	}
	return a.AsSlice(), port, nil
}

// WriteTo sends a gossip packet.
func (p *Port) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(InZone(addr, p.zone))
	if err != nil {
		return time.Time{}, err
	}
	_, err = p.pc.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return time.Now(), err
}

// WriteToAddress sends a gossip packet.
func (p *Port) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, a.Addr)
}

// DialTimeout opens a gossip stream.
func (p *Port) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, timeout)
	defer cancel()
	return p.network.Dial(ctx, InZone(addr, p.zone))
}

// DialAddressTimeout opens a gossip stream.
func (p *Port) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return p.DialTimeout(a.Addr, timeout)
}

// Shutdown closes the port. Streams that have been handed on stay with their owner.
func (p *Port) Shutdown() error {
	p.mu.Lock()
	p.cancel()
	for c := range p.young {
		c.Close()
	}
	p.mu.Unlock()
	p.ln.Close()
	p.pc.Close()
	p.wg.Wait()
	return nil
}
