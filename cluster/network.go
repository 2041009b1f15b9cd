package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/weir-go/weir/cluster/internal/port"
)

// Network is where a node listens and dials: the machine's own, or a simulated one.
type Network interface {
	// Listen opens one port for streams and packets, at "ip:port", or ":port" for all
	// addresses; port 0 picks one for both.
	Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error)
	// Dial opens a stream.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// advertised is the address that the others are told.
func advertised(c Config, bound netip.AddrPort) (netip.AddrPort, error) {
	a := netip.AddrPortFrom(bound.Addr().Unmap().WithZone(""), bound.Port())
	if c.Advertise != "" {
		a = netip.MustParseAddrPort(port.WithoutZone(c.Advertise)) // validated
	} else if a.Addr().IsUnspecified() {
		ip, err := port.Outbound()
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
