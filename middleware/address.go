package middleware

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/weir-go/weir/middleware/internal/clientip"
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
// A forwarded address counts only if Trusted, TrustUnix or Hops says how far the chain of
// proxies can be believed. Only one header is ever read: a proxy that keeps up one of
// them passes the others through as the client wrote them.
//
// A list is read from the right, because each proxy appends what it saw: only its right
// end was written by a proxy of yours. However long a client made the rest, it is not
// looked at. A request without the header counts as the peer, for then the proxy itself
// asks, such as for its health checks. What is there but cannot be read (malformed,
// "unknown", obfuscated, an endless chain, fewer addresses than Hops) counts on one budget
// of its own, the subject "unreadable": never as what a client made up, never as nobody,
// and never as the proxy.
//
// An IPv6 address that stands for an IPv4 address counts as that one: behind NAT64
// (64:ff9b::/96), SIIT (::ffff:0:0:0/96), 6to4, Teredo and the Translators all clients
// would otherwise be one.
type Address struct {
	// Source is the list to read.
	Source Source
	// Header, if set, is read in the place of Source: a header with one address, which
	// the proxy sets and does not append to, such as "CF-Connecting-IP", "X-Real-IP" or
	// "Fly-Client-IP". It needs Trusted or TrustUnix. Check that the proxy replaces what
	// clients send under that name.
	Header string
	// Trusted are the networks of your proxies. The peer must be in one of them; the
	// client is the rightmost address that is not. If all are, the peer counts.
	Trusted []netip.Prefix
	// TrustUnix believes peers on a Unix socket, which have no address. Then the file's
	// permissions say who can be such a peer.
	TrustUnix bool
	// Hops is the number of your proxies in front: with 1, the client is what the peer
	// appended; with 2, what the proxy before it did. It is for proxies without fixed
	// addresses, excludes Trusted, and is only safe if nobody can reach this server past
	// them.
	Hops int
	// IPv6Prefix is the length of the prefix by which IPv6 addresses count, 1 to 128;
	// 0 means 64, the least that one subscriber gets. IPv4 addresses count one by one.
	IPv6Prefix int
	// Translators are the networks of your own translators from IPv4 to IPv6, of 32, 40,
	// 48, 56, 64 or 96 bits (RFC 6052).
	Translators []netip.Prefix
}

// Subject is the subject by which [ClientIP] counts a client with that address, for
// [BudgetKey]. It is "" if the Address or addr is not valid.
func (a Address) Subject(addr netip.Addr) string {
	f, err := a.finder()
	if err != nil || !addr.IsValid() {
		return ""
	}
	return string(f.AppendAddr(nil, addr))
}

// finder checks the Address.
func (a Address) finder() (*clientip.Finder, error) {
	if a.Header != "" && !isToken(a.Header) {
		return nil, fieldError("header", a.Header, "is not a header name")
	}
	f, err := clientip.New(clientip.Config{
		Source: clientip.Source(a.Source), Header: textproto.CanonicalMIMEHeaderKey(a.Header),
		Trusted: a.Trusted, TrustUnix: a.TrustUnix, Hops: a.Hops,
		IPv6Prefix: a.IPv6Prefix, Translators: a.Translators,
	})
	if e, ok := errors.AsType[*clientip.Error](err); ok {
		if e.Field == "header" {
			e.Value = a.Header // as it was written
		}
		return nil, fieldError(e.Field, e.Value, e.Reason)
	}
	return f, err
}

// bind checks the Address and returns it as a key.
func (a Address) bind() (appendSubject, error) {
	f, err := a.finder()
	if err != nil {
		return nil, err
	}
	trustUnix := a.TrustUnix
	return func(b []byte, r *http.Request) ([]byte, bool) {
		return f.Append(b, r.RemoteAddr, trustUnix && onUnixSocket(r), r.Header)
	}, nil
}

// names are those of the headers that it reads.
func (a Address) names() []string {
	switch {
	case a.Header != "":
		return []string{textproto.CanonicalMIMEHeaderKey(a.Header)}
	case len(a.Trusted) == 0 && !a.TrustUnix && a.Hops == 0:
		return nil // the peer counts
	case a.Source == Forwarded:
		return []string{"Forwarded"}
	}
	return []string{"X-Forwarded-For"}
}

// onUnixSocket reports whether a request came over a Unix socket: as the server knows of
// its listener, or as the peer's address shows.
func onUnixSocket(r *http.Request) bool {
	if l, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return l.Network() == "unix"
	}
	return strings.HasPrefix(r.RemoteAddr, "@") || strings.HasPrefix(r.RemoteAddr, "/")
}
