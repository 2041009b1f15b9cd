package port

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// System is the network of this machine.
type System struct{}

const (
	listenAttempts = 20      // to find a port that is free for TCP and for UDP
	udpBuffer      = 2 << 20 // bytes, for a burst of gossip while the machine is busy
)

// Listen opens one port for streams and packets. Port 0 picks one that is free for both.
func (System) Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	lc := net.ListenConfig{KeepAlive: -1} // four system calls for each stranger; who gets in is tuned
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
	return nil, nil, fmt.Errorf("no port of %s is free for both TCP and UDP", host)
}

// Dial opens a stream.
func (System) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// Outbound is the address from which this machine reaches one of the addresses toward, the first
// to which there is a route; of none, the network. Nothing is sent: connecting a UDP socket only
// asks the routing table.
func Outbound(toward []string) (from netip.Addr, reaches string, err error) {
	for _, probe := range append(toward, "192.0.2.1:9", "[2001:db8::1]:9") { // documentation addresses
		c, err := net.Dial("udp", probe)
		if err != nil {
			continue
		}
		a := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		c.Close()
		if !slices.Contains(toward, probe) {
			probe = ""
		}
		return a.WithZone(""), probe, nil
	}
	return netip.Addr{}, "", fmt.Errorf("no route to anywhere")
}
