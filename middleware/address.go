package middleware

import (
	"fmt"
	"net/http"
	"net/netip"
)

// Source is the header in which trusted proxies tell the client's address.
type Source uint8

const (
	// XForwardedFor is the header that most proxies append to.
	XForwardedFor Source = iota
	// Forwarded is the header of RFC 7239; its "for" parameter counts.
	Forwarded
)

// Address says whose address a request counts as. The zero value is the socket's peer.
//
// A forwarded address counts only if Trusted or Hops (one of the two) says how far the
// chain of proxies can be believed. Only one header is ever read: a proxy that keeps
// up one of them passes the other through as the client wrote it.
//
// The list is walked from the right, because each proxy appends what it saw: only
// its right end was written by a proxy of yours. Whatever cannot be read there
// (missing, malformed, "unknown", obfuscated, an endless list) makes the request count
// as the socket's peer: never as what a client made up, and never as nobody.
type Address struct {
	// Source is the header to read.
	Source Source
	// Trusted are the networks of your proxies. The peer must be in one of them; the
	// client is the rightmost address that is not. If all are, the peer counts.
	Trusted []netip.Prefix
	// Hops is the number of your proxies in front: with 1, the client is what the peer
	// appended; with 2, what the proxy before it did. It is for proxies without fixed
	// addresses, and only safe if nobody can reach this server past them.
	Hops int
	// IPv6Prefix is the length of the prefix by which IPv6 addresses count, 1 to 128;
	// 0 means 64, the least that one subscriber gets. IPv4 addresses count one by one.
	IPv6Prefix int
}

// bind checks the Address and returns it as a key.
func (a Address) bind() (appendSubject, error) {
	bits := a.IPv6Prefix
	if bits == 0 {
		bits = 64
	}
	switch {
	case bits < 1 || bits > 128:
		return nil, fieldError("ipv6Prefix", a.IPv6Prefix, "is not within 1 to 128")
	case a.Hops < 0 || a.Hops > hopsMax:
		return nil, fieldError("hops", a.Hops, fmt.Sprintf("is not within 0 to %d", hopsMax))
	case a.Hops > 0 && len(a.Trusted) > 0:
		return nil, fieldError("hops", a.Hops, "excludes trusted networks: use one of the two")
	case a.Source > Forwarded:
		return nil, fieldError("source", a.Source, "is unknown")
	}
	trusted := make([]netip.Prefix, 0, len(a.Trusted))
	for i, p := range a.Trusted {
		plain, ok := unmapPrefix(p)
		if !ok {
			return nil, fieldError(fmt.Sprintf("trusted[%d]", i), p, "is not a network")
		}
		trusted = append(trusted, plain)
	}
	walk := walker{source: a.Source, trusted: trusted, hops: a.Hops}
	return func(b []byte, r *http.Request) ([]byte, bool) {
		addr, ok := walk.client(r)
		if !ok {
			return b, false
		}
		if addr.Is4() || bits == 128 {
			return addr.AppendTo(b), true
		}
		network, _ := addr.Prefix(bits) // bits were checked above
		return network.AppendTo(b), true
	}, nil
}

// unmapPrefix turns a network of IPv4-mapped addresses into the IPv4 network.
func unmapPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	if !p.Addr().Is4In6() {
		return p.Masked(), true
	}
	if p.Bits() < 96 {
		return p, false
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked(), true
}

// walker finds the client's address.
type walker struct {
	source  Source
	trusted []netip.Prefix
	hops    int
}

// client returns the address that a request counts as, and false if there is none,
// as on a Unix socket.
func (w *walker) client(r *http.Request) (netip.Addr, bool) {
	peer, ok := parseAddr(r.RemoteAddr)
	switch {
	case w.hops > 0:
		// The peer is believed by assumption, even without an address.
	case len(w.trusted) == 0 || !ok || !w.trusts(peer):
		return peer, ok
	}
	if c, found := w.forwarded(r); found {
		return c, true
	}
	return peer, ok
}

// forwarded walks the forwarded addresses from the right.
func (w *walker) forwarded(r *http.Request) (netip.Addr, bool) {
	chain := newChain(r, w.source)
	for hop := 1; hop <= hopsMax; hop++ {
		a, ok := chain.previous()
		if !ok {
			break
		}
		if w.hops > 0 && hop == w.hops || w.hops == 0 && !w.trusts(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// trusts reports whether a is one of the trusted proxies.
func (w *walker) trusts(a netip.Addr) bool {
	for _, p := range w.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
