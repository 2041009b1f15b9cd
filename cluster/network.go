package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// Network is where a node listens and dials: the machine's own, or a simulated one.
type Network interface {
	// Listen opens one port for streams and packets, at "ip:port", or ":port" for all
	// addresses; port 0 picks one for both.
	Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error)
	// Dial opens a stream.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// systemNetwork is the machine's own.
type systemNetwork struct{}

const (
	listenAttempts = 20      // to find a port that is free for TCP and for UDP
	udpBuffer      = 2 << 20 // bytes, for a burst of gossip while the machine is busy
)

func (systemNetwork) Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	var lc net.ListenConfig
	for range listenAttempts {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		pc, err2 := lc.ListenPacket(ctx, "udp", ln.Addr().String())
		if err2 == nil {
			if u, ok := pc.(*net.UDPConn); ok {
				u.SetReadBuffer(udpBuffer) // best effort: the system may allow less
			}
			return ln, pc, nil
		}
		ln.Close()
		if err = err2; port != "0" {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("cluster: no port of %s is free for both TCP and UDP", host)
}

func (systemNetwork) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// advertised is the address that the others are told.
func advertised(c Config, bound netip.AddrPort) (netip.AddrPort, error) {
	a := netip.AddrPortFrom(bound.Addr().Unmap().WithZone(""), bound.Port())
	if c.Advertise != "" {
		a = netip.MustParseAddrPort(withoutZone(c.Advertise)) // validated
	} else if a.Addr().IsUnspecified() {
		ip, err := outbound()
		if err != nil {
			return a, fmt.Errorf("cluster: %w: Advertise is needed where Bind %q is not one address: %w", ErrConfig, c.Bind, err)
		}
		a = netip.AddrPortFrom(ip, bound.Port())
	}
	if a.Port() == 0 {
		a = netip.AddrPortFrom(a.Addr(), bound.Port())
	}
	return a, nil
}

// outbound is the address from which this machine reaches the network. Nothing is
// sent: connecting a UDP socket only asks the routing table.
func outbound() (netip.Addr, error) {
	for _, probe := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // documentation addresses
		c, err := net.Dial("udp", probe)
		if err != nil {
			continue
		}
		a := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		c.Close()
		return a, nil
	}
	return netip.Addr{}, fmt.Errorf("no route to anywhere")
}
