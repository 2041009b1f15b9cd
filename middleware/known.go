package middleware

import (
	"net/http"
	"reflect"
	"slices"
)

// KnownAmong makes a [Policy].Known of a list of the patterns that a router has, in its
// own syntax or that of http.ServeMux: a pattern of the policy is known if some request
// could match it and one of them. gin and echo list theirs by Routes, chi by Walk.
func KnownAmong(patterns ...string) func(pattern string) bool {
	shapes := make([]shape, len(patterns))
	for i, p := range patterns {
		shapes[i] = shapeOf(p)
	}
	return func(pattern string) bool {
		s := shapeOf(pattern)
		return slices.ContainsFunc(shapes, func(t shape) bool { return s.meets(&t) })
	}
}

// patternsOf lists what is registered with a mux. http.ServeMux has no way to tell, and by
// trying requests it cannot be found out which of those that match a wildcard it would
// serve: so its index is read by reflection, and never written. ok is false where a
// Go version keeps it elsewhere; a test will tell.
func patternsOf(mux *http.ServeMux) (patterns []string, ok bool) {
	defer func() {
		if recover() != nil {
			patterns, ok = nil, false
		}
	}()
	index := reflect.ValueOf(mux).Elem().FieldByName("index")
	lists := []reflect.Value{index.FieldByName("multis")}
	for it := index.FieldByName("segments").MapRange(); it.Next(); {
		lists = append(lists, it.Value())
	}
	for _, list := range lists {
		for i := range list.Len() {
			patterns = append(patterns, list.Index(i).Elem().FieldByName("str").String())
		}
	}
	return patterns, true
}

// checkKnown finds the pattern that the router behind cannot serve, if the policy says
// how to find out. A pattern is refused only where no request can reach it.
func (p *Policy) checkKnown() func(pattern string) (reason string) {
	var among func(string) bool
	if p.Mux != nil {
		if patterns, ok := patternsOf(p.Mux); ok {
			among = KnownAmong(patterns...)
		}
	}
	return func(pattern string) string {
		switch {
		case among != nil && !among(pattern):
			return "is unknown: the mux has no handler for it"
		case p.Known != nil && !p.Known(pattern):
			return "is unknown: the router has no handler for it"
		}
		return ""
	}
}
