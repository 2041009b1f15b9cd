package middleware

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// route is a pattern with the rules that count there; without rules it is exempt.
type route struct {
	pattern  string // "" for the default
	shape    shape
	exempt   bool
	rules    []*rule
	observed bool // whether a rule needs to see the response
	refunds  bool // whether something may be given back
	bans     bool // whether a rule has a ban
}

// table finds the route of a request. The matching is done by http.ServeMux itself: a
// second implementation of its precedence would sooner or later disagree with the
// mux behind, and a limit would be missed.
type table struct {
	mux       *http.ServeMux
	routes    map[string]*route // by the pattern with its host folded
	byDefault *route
	upper     string // a pattern with upper case in its path
	hosts     bool   // a pattern has a host
	depth     int    // segments of the longest pattern
	literal   int    // bytes of the longest literal segment
}

// newTable makes a table of a default route only.
func newTable(byDefault *route) *table {
	return &table{
		mux: http.NewServeMux(), routes: make(map[string]*route), byDefault: byDefault, literal: len(opaque),
	}
}

// find returns the route of a request. An exempt or unlimited one has no rules. chosen is the
// pattern that the router behind chose, or "".
func (t *table) find(r *http.Request, chosen string) *route {
	if chosen != "" {
		return t.within(r, chosen)
	}
	if isPlain(r) {
		return t.match(r)
	}
	return t.join(t.readings(r))
}

// match is the route by the mux's own reading.
func (t *table) match(r *http.Request) *route {
	// The handler is of no interest: even where the mux would redirect or answer 405,
	// it names the pattern that it would send the request on to.
	_, pattern := t.mux.Handler(r)
	if found, ok := t.routes[pattern]; ok {
		return found
	}
	return t.byDefault
}

// readings are the routes that any router may take a request for, by the likeliest first.
func (t *table) readings(r *http.Request) (found []*route) {
	hosts := []string{r.Host, foldHost(r.Host)}
	if hosts[0] == hosts[1] {
		hosts = hosts[:1]
	}
	var seen []string
	eachReading(r, t.depth+1, func(rd reading) bool {
		q := rd.request(r.Method, "", t.literal)
		if slices.Contains(seen, q.URL.RawPath) {
			return true
		}
		seen = append(seen, q.URL.RawPath)
		for _, q.Host = range hosts {
			q.URL.Host = q.Host
			if rt := t.match(q); !slices.Contains(found, rt) {
				found = append(found, rt)
			}
		}
		return true
	})
	return found
}

// join is one route of all that a request may be taken for. Limited routes count before
// the default, all of them: which of their handlers will run is not known. Exempt
// is only what is exempt by every reading.
func (t *table) join(found []*route) *route {
	limited := slices.DeleteFunc(slices.Clone(found), func(rt *route) bool { return rt.exempt || rt == t.byDefault })
	switch {
	case len(limited) == 1:
		return limited[0]
	case len(limited) > 1:
		return merged(limited)
	case slices.ContainsFunc(found, func(rt *route) bool { return !rt.exempt }):
		return t.byDefault
	}
	return found[0]
}

// merged is a route with the rules of several. Those of the likeliest show in the headers;
// the others deny all the same.
func merged(all []*route) *route {
	one := *all[0]
	one.rules = slices.Clone(one.rules)
	for _, rt := range all[1:] {
		for _, r := range rt.rules {
			if slices.ContainsFunc(one.rules, func(have *rule) bool { return have.name == r.name }) {
				continue
			}
			aside := *r
			aside.aside = true
			one.rules = append(one.rules, &aside)
		}
		one.observed = one.observed || rt.observed
		one.bans = one.bans || rt.bans
		one.refunds = true
	}
	return &one
}

// within is the route of a request of which it is known which pattern the router chose:
// the policy's own for that pattern, or a part of what it matches, or more than that.
func (t *table) within(r *http.Request, pattern string) *route {
	chosen := shapeOf(pattern)
	if chosen.method == "" {
		chosen.method = r.Method
	}
	found := t.readings(r)
	if !slices.ContainsFunc(found, func(rt *route) bool { return !rt.exempt || !rt.shape.within(&chosen) }) {
		return found[0]
	}
	host := chosen.host
	if host == "" {
		host = foldHost(r.Host)
	}
	whole := t.match(chosen.sample(t.depth).request(chosen.method, host, t.literal))
	if !chosen.open && !whole.exempt && whole != t.byDefault && whole.shape.within(&chosen) {
		return whole // whatever the path looks like: that handler runs
	}
	var parts []*route
	for _, rt := range found {
		if rt != t.byDefault && !rt.exempt && rt.shape.within(&chosen) {
			parts = append(parts, rt)
		}
	}
	if len(parts) > 0 {
		return t.join(parts)
	}
	return whole
}

// add registers a route under its pattern, or says why that cannot be of the pattern at path.
func (t *table) add(rt *route, path string) error {
	if wrong := checkPattern(rt.pattern); wrong != "" {
		return fieldError(path, rt.pattern, wrong)
	}
	pattern := foldPattern(rt.pattern)
	if _, twice := t.routes[pattern]; twice {
		return fieldError(path, rt.pattern, "is there twice")
	}
	if err := register(t.mux, pattern); err != nil {
		if parse := register(http.NewServeMux(), pattern); parse != nil {
			return fieldError(path, rt.pattern, "is not a pattern: "+parse.Error())
		}
		return fieldError(path, rt.pattern, fmt.Sprintf("conflicts with pattern %q", t.rival(pattern)))
	}
	rt.shape = shapeOf(pattern)
	t.routes[pattern] = rt
	t.hosts = t.hosts || rt.shape.host != ""
	t.depth = max(t.depth, len(rt.shape.segments))
	for _, g := range rt.shape.segments {
		t.literal = max(t.literal, len(g.literal))
		if strings.IndexFunc(g.literal, func(r rune) bool { return r >= 'A' && r <= 'Z' }) >= 0 {
			t.upper = rt.pattern
		}
	}
	return nil
}

// foldPattern is a pattern with its host in the one spelling in which hosts are compared.
func foldPattern(pattern string) string {
	start := strings.LastIndexAny(pattern[:strings.IndexByte(pattern+"/", '/')], " \t") + 1
	slash := strings.IndexByte(pattern, '/')
	if slash <= start {
		return pattern
	}
	return pattern[:start] + foldHost(pattern[start:slash]) + pattern[slash:]
}

// seal adds the catch-all: with it every request matches something, and the mux need
// not look for methods that would be allowed. If a route catches all, this fails, rightly.
func (t *table) seal() {
	if register(t.mux, "/") == nil {
		t.routes["/"] = t.byDefault
	}
}

// reached reports whether a request that is made from a route's pattern finds that route.
func (t *table) reached(rt *route) bool {
	q := rt.shape.sample(t.depth).request(rt.shape.method, rt.shape.host, t.literal)
	if q.Method == "" {
		q.Method = "ANY" // no pattern has this one
	}
	if plain := *q.URL; plain.RawPath != "" {
		if plain.RawPath = ""; plain.EscapedPath() == q.URL.RawPath {
			q.URL = &plain // as the server would have parsed it
		}
	}
	found := t.readings(q)
	if rt.exempt {
		return len(found) == 1 && found[0] == rt
	}
	return slices.Contains(found, rt)
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
