package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

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

// advertised is the address that the others are told. Where Bind is all addresses, it is the one
// from which this machine reaches the seeds; where it has none, the rest of the network.
func (n *Node) advertised(ctx context.Context) (netip.AddrPort, error) {
	bound := n.port.Addr()
	a := netip.AddrPortFrom(bound.Addr().Unmap().WithZone(""), bound.Port())
	if c := &n.cfg; c.Advertise != "" {
		a = netip.MustParseAddrPort(port.WithoutZone(c.Advertise)) // validated
	} else if a.Addr().IsUnspecified() {
		ip, toward, err := port.Outbound(n.remote(n.seeds(ctx)))
		if err != nil {
			return a, fmt.Errorf("cluster: %w: Advertise is needed where Bind %q is not one address: %w", ErrConfig, c.Bind, err)
		}
		a = netip.AddrPortFrom(ip, bound.Port())
		n.log.Info("advertised address chosen", "addr", a, "reaches", cmp.Or(toward, "the default route"))
	}
	if a.Port() == 0 {
		a = netip.AddrPortFrom(a.Addr(), bound.Port())
	}
	return a, nil
}

// remote are those addresses that are not loopback: what reaches loopback, others do not reach.
func (n *Node) remote(addrs []string) []string {
	return slices.DeleteFunc(addrs, func(s string) bool {
		a, err := netip.ParseAddrPort(s)
		return err != nil || a.Addr().IsLoopback()
	})
}
