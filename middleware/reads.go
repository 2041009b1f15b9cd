package middleware

import (
	"context"
	"net/http"
	"net/textproto"
	"slices"
)

// reads is what a policy looks at of a request's headers. What is no HTTP request has none
// until somebody makes them, so only those that a key reads are made: all of them only where a
// function of the program may look at any.
type reads struct {
	names []string // canonical
	all   bool     // a function of the program may look at anything, and keep it
	ctx   bool     // a key looks into the context
	host  bool     // a pattern has a host
}

// newReads are those that belong to no key.
func newReads(p *Policy) *reads {
	rs := &reads{}
	if len(p.SkipMethods) > 0 {
		rs.header("Access-Control-Request-Method")
	}
	if p.Skip != nil || p.RequestID != nil || p.Route != nil || p.Respond != nil {
		rs.anything()
	}
	return rs
}

// header notes that these are read.
func (rs *reads) header(canonical ...string) {
	for _, name := range canonical {
		if !slices.Contains(rs.names, name) {
			rs.names = append(rs.names, name)
		}
	}
}

// anything notes that any may be.
func (rs *reads) anything() { rs.all = true }

// context notes that the context is read.
func (rs *reads) context() { rs.ctx = true }

// fill makes the headers that are read.
func (rs *reads) fill(ctx context.Context, h http.Header, c *Call) {
	if rs.all && c.All != nil {
		for name, values := range c.All(ctx) {
			name = textproto.CanonicalMIMEHeaderKey(name)
			h[name] = append(h[name], values...)
		}
		return
	}
	if c.Get == nil {
		return
	}
	for _, name := range rs.names {
		if v := c.Get(ctx, name); len(v) > 0 {
			h[name] = v
		}
	}
}
