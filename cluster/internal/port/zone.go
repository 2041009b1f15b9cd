package port

import "net/netip"

// A link-local IPv6 address means something with a zone only, the name of an interface of
// this machine, and zones do not travel. So gossip knows such addresses without, and who
// dials adds the zone that this node's own configuration names.

// WithoutZone is "ip:port" as gossip knows it.
func WithoutZone(addr string) string {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return addr
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

// InZone is "ip:port" as this machine can dial it.
func InZone(addr, zone string) string {
	a, err := netip.ParseAddrPort(addr)
	if zone == "" || err != nil || !a.Addr().Is6() || !a.Addr().IsLinkLocalUnicast() || a.Addr().Zone() != "" {
		return addr
	}
	return netip.AddrPortFrom(a.Addr().WithZone(zone), a.Port()).String()
}
