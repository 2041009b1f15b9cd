package clientip

import (
	"net/netip"
	"strings"
)

// ParseAddr reads an address in any notation that proxies and net/http write: bare, with
// a port, in brackets. IPv4-mapped IPv6 becomes IPv4 and a zone is dropped: one client,
// one address, and a zone is a name that only this host knows.
func ParseAddr(s string) (netip.Addr, bool) {
	var a netip.Addr
	var err error
	switch {
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		if a, err = netip.ParseAddr(s[1 : len(s)-1]); err == nil && !a.Is6() {
			return netip.Addr{}, false
		}
	case strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1:
		var p netip.AddrPort
		p, err = netip.ParseAddrPort(s)
		a = p.Addr()
	default:
		a, err = netip.ParseAddr(s)
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return a.WithZone("").Unmap(), true
}

// The networks whose addresses always have an IPv4 address inside. All clients of one
// translator are in one /64 of it, and would otherwise share a budget.
var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	siit   = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765, 7915
	teredo = netip.MustParsePrefix("2001::/32")       // RFC 4380: the client's address, inverted
	sixTo4 = netip.MustParsePrefix("2002::/16")       // RFC 3056: a /48 for each IPv4 address
)

// inside is the IPv4 address that an address stands for, or the address itself.
func (f *Finder) inside(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	for _, p := range f.translators { // first: an operator's own may lie within the others
		if p.Contains(a) {
			return embedded(a, p.Bits())
		}
	}
	b := a.As16()
	switch {
	case nat64.Contains(a), siit.Contains(a):
		return embedded(a, 96)
	case sixTo4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case teredo.Contains(a):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	}
	return a
}

// isTranslator reports whether p can be a translator's network (RFC 6052, 2.2).
func isTranslator(p netip.Prefix) bool {
	switch p.Bits() {
	case 32, 40, 48, 56, 64, 96:
		return p.Addr().Is6() && !p.Addr().Is4In6()
	}
	return false
}

// embedded is the IPv4 address behind a translator's prefix of so many bits. Bits 64 to 71
// are skipped (RFC 6052, 2.2); where they are not zero, nobody translated this address.
func embedded(a netip.Addr, bits int) netip.Addr {
	b := a.As16()
	if bits == 96 {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	const reserved = 8
	if b[reserved] != 0 {
		return a
	}
	var v4 [4]byte
	at := bits / 8
	for i := range v4 {
		if at == reserved {
			at++
		}
		v4[i] = b[at]
		at++
	}
	return netip.AddrFrom4(v4)
}
