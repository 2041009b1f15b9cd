// Package port is the one address of a node, for calls and for gossip. Streams that come in
// go to the transport, and reach memberlist through it, when they have proved the secret.
// Packets are gossip: sealed and opened here, and read here before memberlist reads them.
package port

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Network is where streams come from and go to.
type Network interface {
	// Listen opens one port for streams and packets.
	Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error)
	// Dial opens a stream.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Config is what a Port needs.
type Config struct {
	Network Network
	Zone    string   // of link-local addresses
	Label   string   // of the cluster
	Secrets [][]byte // the first seals packets, each opens them; none: they are plain
	// AllowFrom are the networks that may come; none: all may.
	AllowFrom []netip.Prefix
	// Dial opens a stream to another node, which takes it with its Port's Stream.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// Port hands streams to the transport, and gossip to memberlist. To memberlist it is its
// transport.
type Port struct {
	cfg  Config
	seal *seal
	ln   net.Listener
	pc   net.PacketConn
	self netip.AddrPort // as the others write it on packets

	packets chan *memberlist.Packet
	streams chan net.Conn
	places  chan struct{} // one token per stream that came in
	gossips chan struct{} // closed when gossip may come in: see Listen

	bad, wrong, again, outside atomic.Int64

	ctx    context.Context // ends with the port
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*Port)(nil)

const (
	packetQueue = 256
	packetMax   = 64 << 10
)

// Stats counts what was dropped.
type Stats struct {
	BadPackets  int64 // of another form than ours, or for another node or cluster; messages on streams, too
	WrongSecret int64 // packets that no secret of ours opens
	Replays     int64 // packets that came again
	NotAllowed  int64 // connections and packets from outside of AllowFrom
}

// Stats reads the counters.
func (p *Port) Stats() Stats {
	return Stats{p.bad.Load(), p.wrong.Load(), p.again.Load(), p.outside.Load()}
}

// New makes a port that is not open yet.
func New(cfg Config) *Port {
	p := &Port{cfg: cfg, seal: newSeal(cfg.Label),
		packets: make(chan *memberlist.Packet, packetQueue), streams: make(chan net.Conn),
		places: make(chan struct{}, streamsMax), gossips: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.SetSecrets(cfg.Secrets)
	p.cfg.Secrets = nil
	return p
}

// SetSecrets replaces the secrets.
func (p *Port) SetSecrets(secrets [][]byte) { p.seal.set(secrets) }

// Open opens the port. Streams that come in go to calls, which must not block for long.
func (p *Port) Open(ctx context.Context, addr string, calls func(net.Conn)) (err error) {
	if p.ln, p.pc, err = p.cfg.Network.Listen(ctx, addr); err != nil {
		return err // it names the address
	}
	p.wg.Go(func() { p.accept(calls) })
	p.wg.Go(p.receive)
	return nil
}

// Listen lets gossip in. Before memberlist has said to itself that it lives, it must hear
// nothing: news of the process that had its name a moment ago would become its own state,
// metadata included, and it would tell the others so for as long as it lives. Packets get
// lost until then, and streams wait.
//
// self is the address that this node tells the others.
func (p *Port) Listen(self netip.AddrPort) {
	p.self = self
	close(p.gossips)
}

// Addr is the address that was bound.
func (p *Port) Addr() netip.AddrPort { return p.ln.Addr().(*net.TCPAddr).AddrPort() }

func (p *Port) accept(calls func(net.Conn)) {
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
		if !p.allows(c.RemoteAddr()) {
			c.Close()
			continue
		}
		calls(c)
	}
}

// allows says whether something may come from an address, and counts what may not.
func (p *Port) allows(from net.Addr) bool {
	if len(p.cfg.AllowFrom) == 0 {
		return true
	}
	var a netip.Addr
	switch from := from.(type) {
	case *net.TCPAddr:
		a = from.AddrPort().Addr()
	case *net.UDPAddr:
		a = from.AddrPort().Addr()
	}
	a = a.Unmap().WithZone("")
	for _, network := range p.cfg.AllowFrom {
		if network.Contains(a) {
			return true
		}
	}
	p.outside.Add(1)
	return false
}

// Stream takes a gossip stream that came in, and whose other end has proved the secret.
func (p *Port) Stream(c net.Conn) {
	select {
	case p.places <- struct{}{}:
	default:
		c.Close() // a member asks for more than its share
		return
	}
	c.SetDeadline(time.Now().Add(streamTimeout))
	s := &stream{Conn: c, bad: p.countBad, ended: sync.OnceFunc(func() { <-p.places })}
	select {
	case <-p.gossips:
	case <-p.ctx.Done():
		s.Close()
		return
	}
	select {
	case p.streams <- s:
	case <-p.ctx.Done():
		s.Close()
	}
}

func (p *Port) countBad() { p.bad.Add(1) }

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
		if !p.allows(from) {
			continue
		}
		if !p.take(buf[:n], from) {
			return
		}
	}
}

// take opens a packet and hands it to memberlist, if that can bear it. It says false when the
// port is closed.
func (p *Port) take(packet []byte, from net.Addr) bool {
	said, v := p.seal.open(p.self, packet)
	if v == packetGood && !packetFits(said) {
		v = packetBad
	}
	switch v {
	case packetBad:
		p.bad.Add(1)
		return true
	case packetWrong:
		p.wrong.Add(1)
		return true
	case packetAgain:
		p.again.Add(1)
		return true
	}
	select {
	case p.packets <- &memberlist.Packet{Buf: said, From: from, Timestamp: time.Now()}:
		return true
	case <-p.ctx.Done():
		return false
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
	to, err := netip.ParseAddrPort(InZone(addr, p.cfg.Zone))
	if err != nil {
		return time.Time{}, err
	}
	_, err = p.pc.WriteTo(p.seal.to(to, b), net.UDPAddrFromAddrPort(to))
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
	c, err := p.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &stream{Conn: c, bad: p.countBad}, nil
}

// DialAddressTimeout opens a gossip stream.
func (p *Port) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return p.DialTimeout(a.Addr, timeout)
}

// Shutdown closes the port. Streams that have been handed on stay with their owner.
func (p *Port) Shutdown() error {
	p.cancel()
	if p.ln != nil {
		p.ln.Close()
		p.pc.Close()
	}
	p.wg.Wait()
	return nil
}
