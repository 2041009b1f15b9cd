package middleware

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync/atomic"
)

// peers remembers how the addresses of connections are written: a connection has many requests, and
// writing its address costs as much as asking about it. It is a table of fixed size. Who is in it
// stays where it is, so no other address can be taken for it.
type peers struct {
	seed  maphash.Seed
	slots [1024]atomic.Pointer[peer]
}

type peer struct {
	addr *net.TCPAddr
	text string
}

// text is an address in its usual form, for TCP without the detours of its String.
func (p *peers) text(a net.Addr) string {
	switch a := a.(type) {
	case *net.TCPAddr:
		slot := &p.slots[maphash.Comparable(p.seed, a)%uint64(len(p.slots))]
		if known := slot.Load(); known != nil && known.addr == a {
			return known.text
		}
		text := tcpText(a)
		slot.Store(&peer{a, text})
		return text
	case *net.UnixAddr:
		return "@" + a.Name // also of a peer without a name, as most are
	}
	return a.String()
}

func tcpText(a *net.TCPAddr) string {
	if ip, ok := netip.AddrFromSlice(a.IP); ok && a.Zone == "" {
		return netip.AddrPortFrom(ip.Unmap(), uint16(a.Port)).String()
	}
	return a.String()
}
