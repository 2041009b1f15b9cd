package cluster

import "net/netip"

// A link-local IPv6 address means something with a zone only, the name of an interface of
// this machine, and zones do not travel. So gossip knows such addresses without, and who
// dials adds the zone that this node's own configuration names.

// withoutZone is "ip:port" as gossip knows it.
func withoutZone(addr string) string {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return addr
	}
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

// inZone is "ip:port" as this machine can dial it.
func inZone(addr, zone string) string {
	a, err := netip.ParseAddrPort(addr)
	if zone == "" || err != nil || !a.Addr().Is6() || !a.Addr().IsLinkLocalUnicast() || a.Addr().Zone() != "" {
		return addr
	}
	return netip.AddrPortFrom(a.Addr().WithZone(zone), a.Port()).String()
}

// zone is the first that the configuration names.
func (c Config) zone() string {
	for _, s := range append([]string{c.Bind, c.Advertise}, c.Join...) {
		if a, err := netip.ParseAddrPort(s); err == nil && a.Addr().Zone() != "" {
			return a.Addr().Zone()
		}
	}
	return ""
}
