package middleware

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
)

// shape is a pattern in its parts: of http.ServeMux's syntax, or of the routers that
// write ":id" and "*rest".
type shape struct {
	method, host string
	segments     []segment
	open         bool   // matches all below: ends in a slash or in a wildcard for the rest
	rest         string // name of that wildcard
	dollar       bool   // ends in {$}
}

// segment is one part of a pattern's path.
type segment struct {
	literal string // decoded, if it is one
	name    string // of the wildcard
	wild    bool
}

// shapeOf takes a pattern apart. It refuses nothing: see checkPattern.
func shapeOf(pattern string) (s shape) {
	rest := pattern
	if i := strings.IndexAny(rest, " \t/"); i >= 0 && rest[i] != '/' {
		s.method, rest = rest[:i], strings.TrimLeft(rest[i:], " \t")
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		slash = len(rest)
	}
	s.host = foldHost(rest[:slash])
	left := strings.TrimPrefix(rest[slash:], "/")
	for left != "" || strings.HasSuffix(rest, "/") {
		part, more, found := strings.Cut(left, "/")
		switch {
		case part == "" && !found:
			s.open = true
		case part == "{$}":
			s.dollar = true
		case strings.HasPrefix(part, "*") && !found, strings.HasPrefix(part, "{") && strings.HasSuffix(part, "...}"):
			s.open, s.rest = true, strings.TrimSuffix(strings.Trim(part, "{}*"), "...")
		case strings.HasPrefix(part, ":"), strings.ContainsAny(part, "{*"):
			s.segments = append(s.segments, segment{wild: true, name: strings.Trim(part, "{}:")})
		default:
			s.segments = append(s.segments, segment{literal: unescaped(part)})
		}
		if left = more; !found {
			break
		}
	}
	return s
}

// unescaped is a path segment without its escapes, or as it is where these are broken.
func unescaped(part string) string {
	if v, err := url.PathUnescape(part); err == nil {
		return v
	}
	return part
}

// meets reports whether some request matches both patterns, in any spelling.
func (s *shape) meets(t *shape) bool {
	if s.method != "" && t.method != "" && s.method != t.method &&
		!(s.method == http.MethodHead && t.method == http.MethodGet) && !(s.method == http.MethodGet && t.method == http.MethodHead) {
		return false
	}
	if s.host != "" && t.host != "" && s.host != t.host {
		return false
	}
	n, m := len(s.segments), len(t.segments)
	if n > m && !t.open || m > n && !s.open {
		return false
	}
	for i := range min(n, m) {
		if a, b := s.segments[i], t.segments[i]; !a.wild && !b.wild && a.literal != b.literal {
			return false
		}
	}
	return true
}

// within reports whether every path of s is one of t, and method and host go together.
func (s *shape) within(t *shape) bool {
	n, m := len(s.segments), len(t.segments)
	if !s.meets(t) || n < m || s.open && !t.open {
		return false
	}
	for i := range m {
		if s.segments[i].wild && !t.segments[i].wild {
			return false
		}
	}
	return true
}

// sample is a reading that matches the pattern, and as few others as can be: its
// wildcards are filled with what no pattern names, an open end with more segments than
// any pattern has.
func (s *shape) sample(depth int) reading {
	rd := reading{slash: s.dollar}
	for _, g := range s.segments {
		if g.wild {
			g.literal = opaque
		}
		rd.segments = append(rd.segments, g.literal)
	}
	for s.open && len(rd.segments) <= depth {
		rd.segments = append(rd.segments, opaque)
	}
	return rd
}

// has reports whether the pattern has a wildcard of that name.
func (s *shape) has(name string) bool {
	return name != "" && (name == s.rest || slices.ContainsFunc(s.segments, func(g segment) bool { return g.wild && g.name == name }))
}

// value is what the wildcard of that name stands for in a reading of a request's path,
// if the pattern matches that.
func (s *shape) value(rd reading, name string) (v string, ok bool) {
	n := len(s.segments)
	if len(rd.segments) < n || !s.open && len(rd.segments) > n || s.dollar && !rd.slash {
		return "", false
	}
	for i, g := range s.segments {
		switch {
		case !g.wild && g.literal != rd.segments[i]:
			return "", false
		case g.wild && g.name == name:
			v = rd.segments[i]
		}
	}
	if name == s.rest {
		v = strings.Join(rd.segments[n:], "/")
		if rd.slash && v != "" {
			v += "/"
		}
	}
	return v, true
}

// checkPattern says what is wrong with a pattern that no request would match, or that
// means something else than it seems to, and what to write instead.
func checkPattern(pattern string) string {
	rest := pattern
	method, spaced := "", false
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		method, rest, spaced = pattern[:i], strings.TrimLeft(pattern[i:], " \t"), true
	}
	host, at := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, at = rest[:i], rest[i:]
	}
	write := func(hint string) string { return fmt.Sprintf(": write %q", hint) }
	switch trimmed := strings.TrimSpace(pattern); {
	case trimmed != pattern:
		return "has white space around it, which no request has" + write(trimmed)
	case strings.ContainsFunc(pattern, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		return "has a control character, which no request has"
	case strings.ContainsFunc(pattern, func(c rune) bool { return c != '\t' && !unicode.IsPrint(c) }):
		return fmt.Sprintf("has a character that does not show, as %+q", pattern)
	case strings.Contains(pattern, "://"):
		_, bare, _ := strings.Cut(pattern, "://")
		return "is a URL" + write(withMethod(method, spaced, bare))
	case spaced && (method == "*" || strings.EqualFold(method, "ANY") || strings.EqualFold(method, "ALL")):
		return "has no method that a request could have: for all methods" + write(rest)
	case spaced && method != strings.ToUpper(method) && isToken(method):
		return "has a method in lower case, which no request matches" + write(strings.ToUpper(method)+" "+rest)
	case spaced && isToken(method) && !isMethod(method):
		return "has no method that a request could have: of several methods each needs a pattern"
	case strings.Contains(host, "*"):
		return "has a wildcard in the host, of which there are none: name each host, or none for all"
	case strings.Contains(host, ":"):
		bare, _, _ := strings.Cut(host, ":")
		return "has a port, which is not compared" + write(withMethod(method, spaced, bare+at))
	case strings.ContainsAny(at, "?#"):
		return "has a query or a fragment, which are not compared" + write(pattern[:strings.IndexAny(pattern, "?#")])
	}
	if wrong := checkHost(pattern, host, at); wrong != "" {
		return wrong
	}
	if clean := cleanPath(at); at != "" && clean != at {
		return "has an empty or a dot segment, which no request keeps" + write(withMethod(method, spaced, host+clean))
	}
	return checkSegments(strings.TrimPrefix(at, "/"))
}

// isMethod reports whether a token looks like a method: no more than one, and of HTTP.
func isMethod(s string) bool {
	return s[0] >= 'A' && s[0] <= 'Z' && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// checkHost is checkPattern for the host, which may be something that was meant as a method,
// a path, a list or an expression, and for spaces after it.
func checkHost(pattern, host, at string) string {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	switch {
	case at == "":
		return "" // not a pattern
	case slices.Contains(methods, host):
		return fmt.Sprintf("has no space after the method: write %q", host+" "+at)
	case host != "" && (strings.Trim(host, chars+"-._{}") != "" || !strings.ContainsAny(host, chars)):
		return fmt.Sprintf("has the host %q, which no request has: a path begins with a slash, and a host is as clients send it, xn--… where it is not ASCII", host)
	case strings.ContainsAny(at, " \t"):
		return fmt.Sprintf("has white space in its path: write one pattern, and %q for a space", "%20")
	}
	return ""
}

// methods are those that a pattern without a space could begin with by mistake.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace,
}

// cleanPath is a path without empty and dot segments, as http.ServeMux redirects to it.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// withMethod puts the method of a pattern back before the rest of it.
func withMethod(method string, spaced bool, rest string) string {
	if spaced {
		return method + " " + rest
	}
	return rest
}

// checkSegments is checkPattern for the path: wildcards that other routers have.
func checkSegments(path string) string {
	for part := range strings.SplitSeq(path, "/") {
		name := strings.Trim(part, "{}<>[]:*")
		if before, _, typed := strings.Cut(name, ":"); typed {
			name = before
		}
		if name == "" {
			name = "rest"
		}
		switch {
		case part == "{$}":
		case part == "...":
			return fmt.Sprintf("has %q, which matches only itself: write %q for the rest of the path", part, "{rest...}")
		case strings.HasPrefix(part, "*") && !strings.Contains(part, "."), strings.HasPrefix(part, "{*"):
			return fmt.Sprintf("has %q, which matches only itself: write %q for the rest of the path (or %q for a star)", part, "{"+name+"...}", "%2A")
		case strings.Contains(part, "*") && !strings.HasPrefix(part, "{"):
			return fmt.Sprintf("has %q, which matches only itself: a wildcard is a whole segment, as %q (and a star is %q)", part, "{name}", "%2A")
		case strings.HasPrefix(part, ":"), strings.HasPrefix(part, "<"), strings.HasPrefix(part, "["),
			strings.HasPrefix(part, "{") && strings.Contains(part, ":"):
			return fmt.Sprintf("has %q, which is not a wildcard: write %q (or the first character as %q)", part, "{"+name+"}", fmt.Sprintf("%%%02X", part[0]))
		}
		if _, err := url.PathUnescape(part); err != nil && !strings.HasPrefix(part, "{") {
			return fmt.Sprintf("has %q with a broken escape: write %q for a percent sign", part, "%25")
		}
	}
	return ""
}
