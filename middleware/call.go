package middleware

import (
	"context"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Call is what a [Middleware] can decide about besides an HTTP request: a call of a procedure, a
// message, a job. To the rules' keys and functions it looks like a request with that method,
// path, peer, headers and context, and without a body.
type Call struct {
	// Method is matched with the method of patterns. "" is POST, as calls of procedures are.
	Method string
	// Path is matched with patterns, such as "/pkg.Service/Method"; with its escapes, if it has any.
	Path string
	// Route is the pattern that a router has chosen, in its own syntax, as for [Policy].Route; "" if
	// there is no router.
	Route string
	// IgnoreCase says that the router behind does not tell upper from lower case. Then the path
	// counts in lower case, and so does what [PathValue] finds in it; a policy with a pattern
	// that has upper case is an error.
	IgnoreCase bool
	// Peer is the address of who calls, as "host:port" of TCP, or a Unix socket's "@" or path.
	Peer string
	// Addr is that address for whoever has it so, in the place of Peer. While a connection is there it
	// should be the same pointer: what it looks like is remembered.
	Addr net.Addr
	// Header has the headers, for whoever has a map of canonical names, such as "X-Api-Key". It
	// is only read, and takes the place of Get and All.
	Header http.Header
	// Get is the values of a header, metadata or attribute, by the canonical name of
	// [http.Header] such as "X-Api-Key". It is asked only for what the policy reads: for what a
	// key does, for "Host" where a pattern has one, for "X-Request-Id" where somebody hears of it. ctx
	// is that of Decide.
	Get func(ctx context.Context, name string) []string
	// Rule, if set, is the name of the one rule to ask, for Subject, as [Middleware.Allow] does.
	Rule, Subject string
	// Domain and Descriptors, if there are any, are asked about in the place of all else: each finds
	// its rule in [Policy].Domains, and the call must pass all of these. What finds none passes.
	// Allow and Deny are not asked.
	Domain      string
	Descriptors []Descriptor
	// All lists all of them, under names in any case. It is asked, in the place of Get, only where a
	// function of the policy may look at any: [Func], [Rule].CostOf, [Policy].Skip and the like.
	All func(ctx context.Context) iter.Seq2[string, []string]
}

// made is the request that a call looks like to the rules, and the response's headers. It is used
// again, unless somebody may keep it.
type made struct {
	request http.Request
	url     url.URL
	in      http.Header // made of a call
	out     http.Header
}

// requestOf makes a call the exchange's request.
func (x *exchange) requestOf(ctx context.Context, c *Call, rs *reads) {
	if x.made == nil {
		x.made = &made{out: make(http.Header, 4)}
	}
	r, u := &x.made.request, &x.made.url
	if c.Addr != nil {
		c.Peer = x.m.peers.text(c.Addr)
	}
	r.Method, r.RemoteAddr, r.URL = c.Method, c.Peer, u
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	if c.IgnoreCase {
		c.Path = lower(c.Path)
	}
	if u.Path, u.RawPath = c.Path, ""; strings.IndexByte(c.Path, '%') >= 0 {
		if path, err := url.PathUnescape(c.Path); err == nil {
			u.Path, u.RawPath = path, c.Path
		}
	}
	if r.Header = c.Header; r.Header == nil {
		if x.made.in == nil {
			x.made.in = make(http.Header, len(rs.names))
		}
		r.Header, x.get = x.made.in, c.Get
		rs.fill(ctx, r.Header, c)
	}
	x.ctx, x.request = ctx, r
	if rs.host || rs.all {
		r.Host = x.value("Host")
	}
	if rs.all || rs.ctx {
		x.made = &made{out: x.made.out} // the rest is now whose who looks at it
		x.request = r.WithContext(ctx)
	}
}

// lower is a path in lower case, as routers that ignore case have it: of ASCII alone. A letter
// that is escaped is in lower case as well, whichever its router decodes first.
func lower(path string) string {
	upper := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	plain := true
	for i := range len(path) {
		plain = plain && !upper(path[i]) && path[i] != '%'
	}
	if plain {
		return path
	}
	b := []byte(path)
	for i, c := range b {
		if upper(c) {
			b[i] += 'a' - 'A'
		}
		if c == '%' && i+2 < len(b) && (b[i+1] == '4' || b[i+1] == '5') {
			if n, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil && upper(byte(n)) {
				b[i+1] += 2 // %41 is A, %61 is a
			}
		}
	}
	return string(b)
}

// value is what a call has under a name, the first if there are several.
func (x *exchange) value(name string) string {
	if x.get != nil {
		if v := x.get(x.ctx, name); len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// wantID gets a call's own id, which nobody has read so far.
func (x *exchange) wantID() {
	if id := x.value(headerRequestID); id != "" {
		x.request.Header[headerRequestID] = []string{id}
	}
}

// forget drops what it has of a call.
func (d *made) forget() {
	if d == nil {
		return
	}
	if len(d.in) > 0 {
		clear(d.in)
	}
	clear(d.out)
	r := &d.request // all that requestOf sets
	r.Method, r.RemoteAddr, r.Host, r.Header, d.url.Path, d.url.RawPath = "", "", "", nil, "", ""
}
