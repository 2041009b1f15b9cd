package middleware

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// Call is what a [Middleware] can decide about besides an HTTP request: a call of a procedure, a
// message, a job. To the rules' keys and functions it looks like a request with that method,
// path, peer, headers and context, and without a body.
type Call struct {
	// Method is matched with the method of patterns. "" is POST, as calls of procedures are.
	Method string
	// Host is matched with the host of patterns; mostly "".
	Host string
	// Path is matched with patterns, such as "/pkg.Service/Method"; with its escapes, if it has any.
	Path string
	// Route is the pattern that a router has chosen, in its own syntax, as for [Policy].Route; "" if
	// there is no router.
	Route string
	// Peer is the address of who calls, as "host:port" of TCP, or a Unix socket's "@" or path.
	Peer string
	// Get is the values of a header, metadata or attribute, by the canonical name of
	// [http.Header] such as "X-Api-Key". It is asked only for those that a key of the policy reads.
	Get func(name string) []string
	// All lists all of them, under names in any case. It is asked, in the place of Get, only where a
	// function of the policy may look at any: [Func], [Rule].CostOf, [Policy].Skip and the like.
	All iter.Seq2[string, []string]
}

// request is the call as the rules see it.
func (c *Call) request(ctx context.Context, rs *reads) *http.Request {
	made := &struct {
		request http.Request
		url     url.URL
	}{}
	r, u := &made.request, &made.url
	r.Method, r.Host, r.RemoteAddr, r.URL = c.Method, c.Host, c.Peer, u
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	if u.Path = c.Path; strings.IndexByte(c.Path, '%') >= 0 {
		if path, err := url.PathUnescape(c.Path); err == nil {
			u.Path, u.RawPath = path, c.Path
		}
	}
	r.Header = make(http.Header, len(rs.names))
	rs.fill(r.Header, c.Get, c.All)
	return r.WithContext(ctx)
}
