package middleware

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync/atomic"
)

const (
	// memoSlots is how many paths a memo remembers, a power of two.
	memoSlots = 256
	// memoMax is how long method, host and path may be together that it remembers, so that 256 of them stay small.
	memoMax = 256
)

// memo remembers which route the table found for a method, host and path, and the pattern that
// a router chose: a pure function of these four as long as the table stands. The mux
// allocates where it tries a trailing slash or collects wildcards, and a lookup here does
// not. A client that sends ever new paths only gets the mux's own speed.
type memo struct {
	seed  maphash.Seed
	slots [memoSlots]atomic.Pointer[memoized]
}

// memoized is one answer of the table; it is never changed.
type memoized struct {
	method, host, path, chosen string
	route                      *route
}

// find returns the route of r, from memory or from the table. chosen is the pattern that
// the router behind chose, or "".
func (m *memo) find(t *table, r *http.Request, chosen string) *route {
	path := r.URL.Path
	if r.Method == http.MethodConnect || r.URL.RawPath != "" || len(path)+len(r.Host)+len(r.Method)+len(chosen) > memoMax {
		return t.find(r, chosen) // other parts of the request matter, or it is too long
	}
	slot := &m.slots[maphash.String(m.seed, path)%memoSlots]
	if e := slot.Load(); e != nil && e.path == path && e.method == r.Method && e.chosen == chosen && e.host == r.Host {
		return e.route
	}
	found := t.find(r, chosen)
	// Cloned, or 100 bytes of path would keep a whole request line in memory.
	slot.Store(&memoized{
		method: strings.Clone(r.Method), host: strings.Clone(r.Host), path: strings.Clone(path), chosen: strings.Clone(chosen), route: found,
	})
	return found
}
