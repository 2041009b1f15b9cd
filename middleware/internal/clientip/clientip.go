// Package clientip finds the address that a request counts as, from the address of the
// socket's peer and the headers that trusted proxies write.
//
// What [Finder.Append] does, in order: it asks whether the peer is believed; reads the
// header from its right-hand end, which your proxies wrote, up to the first address that
// is not one of them; takes the IPv4 address out of one that a translator made; and folds
// any other IPv6 address into the network that one subscriber gets.
//
// Whoever is limited must not choose who it counts as. So nothing that a client writes is
// ever read where a proxy's word must stand, and what cannot be read there counts on a
// budget of its own ([Unreadable]): on the proxy's it would spend what the proxy's own
// requests need, its health checks.
//
// The package is pure: no socket, no clock, no state between requests.
package clientip

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Unreadable is the subject of the requests whose header a trusted peer wrote, but not so
// that it tells an address. No address is spelt like that.
const Unreadable = "unreadable"

// hopsMax bounds the walk: no honest request passes more proxies.
const hopsMax = 32

// Source is the list that proxies append to.
type Source uint8

// The lists. Only one is ever read: a proxy that keeps up one of them passes the other
// through as the client wrote it.
const (
	XForwardedFor Source = iota
	Forwarded            // RFC 7239; its "for" parameter counts
)

// Config says whom to believe. The zero value counts the peer itself.
type Config struct {
	// Source is the list to read, unless Header is set.
	Source Source
	// Header has one address, which the peer sets. It is in canonical form.
	Header string
	// Trusted are the networks of the proxies.
	Trusted []netip.Prefix
	// TrustUnix believes a peer on a Unix socket.
	TrustUnix bool
	// Hops is the number of proxies, in the place of Trusted.
	Hops int
	// IPv6Prefix is by how many bits an IPv6 address counts; 0 means 64.
	IPv6Prefix int
	// Translators are networks of IPv6 addresses that stand for IPv4 addresses, besides
	// those that always do.
	Translators []netip.Prefix
}

// Error says which field of a Config cannot be, in the words of a policy file.
type Error struct {
	Field  string
	Value  any
	Reason string
}

// Error gives all three.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v %s", e.Field, e.Value, e.Reason) }

// Finder finds addresses by a Config. It is immutable.
type Finder struct {
	source      Source
	header      string
	trusted     []netip.Prefix
	unix        bool
	hops        int
	bits        int
	translators []netip.Prefix
}

// New checks a Config.
func New(c Config) (*Finder, error) {
	f := &Finder{source: c.Source, header: c.Header, unix: c.TrustUnix, hops: c.Hops, bits: c.IPv6Prefix}
	if f.bits == 0 {
		f.bits = 64
	}
	switch {
	case f.bits < 1 || f.bits > 128:
		return nil, &Error{"ipv6Prefix", c.IPv6Prefix, "is not within 1 to 128"}
	case c.Hops < 0 || c.Hops > hopsMax:
		return nil, &Error{"hops", c.Hops, fmt.Sprintf("is not within 0 to %d", hopsMax)}
	case c.Hops > 0 && (len(c.Trusted) > 0 || c.TrustUnix):
		return nil, &Error{"hops", c.Hops, "excludes trusted networks: use one of the two"}
	case c.Source > Forwarded:
		return nil, &Error{"source", c.Source, "is unknown"}
	}
	if err := checkHeader(c); err != nil {
		return nil, err
	}
	for i, p := range c.Trusted {
		plain, ok := Unmap(p)
		if !ok {
			return nil, &Error{fmt.Sprintf("trusted[%d]", i), p, "is not a network"}
		}
		f.trusted = append(f.trusted, plain)
	}
	for i, p := range c.Translators {
		if !isTranslator(p) {
			return nil, &Error{fmt.Sprintf("translators[%d]", i), p, "is not an IPv6 network of 32, 40, 48, 56, 64 or 96 bits"}
		}
		f.translators = append(f.translators, p.Masked())
	}
	return f, nil
}

// checkHeader refuses a header that nobody vouches for, or that is a list.
func checkHeader(c Config) error {
	switch {
	case c.Header == "":
		return nil
	case c.Header == "X-Forwarded-For" || c.Header == "Forwarded":
		return &Error{"header", c.Header, "is a list, not one address: use source"}
	case c.Source != XForwardedFor:
		return &Error{"header", c.Header, "excludes source: use one of the two"}
	case c.Hops > 0:
		return &Error{"header", c.Header, "excludes hops: one header has one address"}
	case len(c.Trusted) == 0 && !c.TrustUnix:
		return &Error{"header", c.Header, "needs trusted networks: from anybody else a client writes it itself"}
	}
	return nil
}

// Unmap turns a network of IPv4-mapped addresses into the IPv4 network.
func Unmap(p netip.Prefix) (netip.Prefix, bool) {
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

// Append appends the subject of a request to b, and returns false where there is none, as
// on a Unix socket. The peer is as net/http has it in RemoteAddr, unix says that it is on
// a Unix socket, and the names in header are canonical.
func (f *Finder) Append(b []byte, peer string, unix bool, header map[string][]string) ([]byte, bool) {
	switch addr, found := f.find(peer, unix, header); found {
	case address:
		return f.AppendAddr(b, addr), true
	case unreadable:
		return append(b, Unreadable...), true
	}
	return b, false
}

// Client is the whole address of a request's client, as it stands; false where Append finds
// none, or one that is unreadable.
func (f *Finder) Client(peer string, unix bool, header map[string][]string) (netip.Addr, bool) {
	addr, found := f.find(peer, unix, header)
	return addr.WithZone("").Unmap(), found == address
}

// Inside is the IPv4 address that an address of Client's stands for, or the address itself.
func (f *Finder) Inside(a netip.Addr) netip.Addr { return f.inside(a) }

// find is the address of a request's client.
func (f *Finder) find(peer string, unix bool, header map[string][]string) (netip.Addr, finding) {
	addr, ok := ParseAddr(peer)
	if f.believes(addr, ok, unix) {
		if a, found := f.told(header); found != nothing {
			return a, found
		}
	}
	if !ok {
		return addr, nothing
	}
	return addr, address
}

// AppendAddr appends the subject of an address: the IPv4 address that it is or has inside,
// or its network.
func (f *Finder) AppendAddr(b []byte, a netip.Addr) []byte {
	a = f.inside(a.WithZone("").Unmap())
	if a.Is4() || f.bits == 128 {
		return a.AppendTo(b)
	}
	network, _ := a.Prefix(f.bits) // bits were checked in New
	return network.AppendTo(b)
}

// believes reports whether what a peer tells counts. With hops that is so by assumption,
// also of a peer without an address.
func (f *Finder) believes(peer netip.Addr, ok, unix bool) bool {
	return f.hops > 0 || ok && f.trusts(peer) || !ok && unix && f.unix
}

// trusts reports whether a is one of the trusted proxies, as it stands: an IPv4 address
// inside of it vouches for nothing, as whoever runs a translator could make one up.
func (f *Finder) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// finding is what a header tells.
type finding uint8

const (
	nothing    finding = iota // there is no such header, or only proxies are in it: the peer itself asks
	address                   // an address
	unreadable                // something that no proxy of yours should have written
)

// told is the address that a believed peer's header tells.
func (f *Finder) told(header map[string][]string) (netip.Addr, finding) {
	if f.header == "" {
		return f.walk(header)
	}
	values := header[f.header]
	switch len(values) {
	case 0:
		return netip.Addr{}, nothing
	case 1:
		if a, ok := ParseAddr(strings.Trim(values[0], " \t")); ok {
			return a, address
		}
	}
	return netip.Addr{}, unreadable // also of two values: who knows which one the proxy wrote
}

// walk goes through a list from the right: each proxy appends what it saw.
func (f *Finder) walk(header map[string][]string) (netip.Addr, finding) {
	list := newList(header, f.source)
	if len(list.lines) == 0 {
		return netip.Addr{}, nothing
	}
	for hop := 1; hop <= hopsMax; hop++ {
		a, found := list.previous()
		switch {
		case found == nothing && f.hops == 0:
			return netip.Addr{}, nothing // all are proxies
		case found != address:
			return netip.Addr{}, unreadable
		case f.hops > 0 && hop == f.hops, f.hops == 0 && !f.trusts(a):
			return a, address
		}
	}
	return netip.Addr{}, unreadable // an endless chain
}
