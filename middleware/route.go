package middleware

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is a pattern with the rules that count there; without rules it is exempt.
type route struct {
	pattern  string // "" for the default
	rules    []*rule
	observed bool // whether a rule needs to see the response
	refunds  bool // whether something may be given back
}

// table finds the route of a request. The matching is done by http.ServeMux itself: a
// second implementation of its precedence would sooner or later disagree with the
// mux behind, and a limit would be missed.
type table struct {
	mux       *http.ServeMux
	routes    map[string]*route
	byDefault *route
}

// newTable makes a table of a default route only.
func newTable(byDefault *route) *table {
	return &table{mux: http.NewServeMux(), routes: make(map[string]*route), byDefault: byDefault}
}

// find returns the route of a request. An exempt or unlimited one has no rules.
func (t *table) find(r *http.Request) *route {
	// The handler is of no interest: even where the mux would redirect or answer 405,
	// it names the pattern that it would send the request on to.
	_, pattern := t.mux.Handler(r)
	if found, ok := t.routes[pattern]; ok {
		return found
	}
	return t.byDefault
}

// add registers a route under its pattern, or says why that cannot be of the pattern at path.
func (t *table) add(rt *route, path string) error {
	if method, _, ok := strings.Cut(rt.pattern, " "); ok && method != strings.ToUpper(method) {
		return fieldError(path, rt.pattern, "has a method in lower case, which no request matches")
	}
	if _, twice := t.routes[rt.pattern]; twice {
		return fieldError(path, rt.pattern, "is there twice")
	}
	if err := register(t.mux, rt.pattern); err != nil {
		if parse := register(http.NewServeMux(), rt.pattern); parse != nil {
			return fieldError(path, rt.pattern, "is not a pattern: "+parse.Error())
		}
		return fieldError(path, rt.pattern, fmt.Sprintf("conflicts with pattern %q", t.rival(rt.pattern)))
	}
	t.routes[rt.pattern] = rt
	return nil
}

// seal adds the catch-all: with it every request matches something, and the mux need
// not look for methods that would be allowed. If a route catches all, this fails, rightly.
func (t *table) seal() {
	if register(t.mux, "/") == nil {
		t.routes["/"] = t.byDefault
	}
}

// rival finds the pattern that conflicts with the given one: the mux only tells it in a
// text that also names source files.
func (t *table) rival(pattern string) string {
	for _, other := range slices.Sorted(maps.Keys(t.routes)) {
		pair := http.NewServeMux()
		if register(pair, other) == nil && register(pair, pattern) != nil {
			return other
		}
	}
	return ""
}

// register turns the mux's panic into an error.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// isKnown reports whether some request that matches the pattern is one that mux has a
// handler for. It tries the plainest such request.
func isKnown(mux *http.ServeMux, pattern string) bool {
	method, rest, ok := strings.Cut(pattern, " ")
	if !ok {
		method, rest = "", pattern
	}
	rest = strings.TrimLeft(rest, " \t")
	slash := strings.IndexByte(rest, '/')
	parts := strings.Split(rest[slash:], "/")
	for i, p := range parts {
		switch {
		case p == "{$}":
			parts[i] = ""
		case strings.HasPrefix(p, "{"):
			parts[i] = "x"
		}
	}
	u := &url.URL{Path: strings.Join(parts, "/")}
	if p, err := url.PathUnescape(u.Path); err == nil {
		u = &url.URL{Path: p, RawPath: u.Path}
	}
	methods := []string{method}
	if method == "" {
		methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	}
	for _, m := range methods {
		if _, found := mux.Handler(&http.Request{Method: m, URL: u, Host: rest[:slash]}); found != "" {
			return true
		}
	}
	return false
}
