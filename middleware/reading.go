package middleware

import (
	"net/http"
	"net/url"
	"strings"
)

// Routers do not agree on what a path is. http.ServeMux cleans it and decodes each segment;
// gin matches the decoded path, chi and echo the one with its escapes; some handlers before
// them strip a final slash or clean. Which one stands behind is not known here, so a
// request is read in each of these ways, and a limit counts if one of them leads to it.

// reading is a path as some router may read it.
type reading struct {
	segments []string
	slash    bool // whether a slash ends it
}

// opaque stands for a segment that no pattern names.
const opaque = "\x00"

// isPlain reports whether all routers read a request in the same way.
func isPlain(r *http.Request) bool {
	p := r.URL.Path
	if r.Method == http.MethodConnect || r.URL.RawPath != "" || p == "" || p[0] != '/' || len(p) > 1 && p[len(p)-1] == '/' {
		return false
	}
	for i := 0; i+1 < len(p); i++ {
		if p[i] != '/' {
			continue
		}
		// A segment begins here: empty, "." or ".." is not plain.
		rest := p[i+1:]
		if rest[0] == '/' || rest[0] == '.' && isDots(rest) {
			return false
		}
	}
	return foldHost(r.Host) == r.Host
}

// isDots reports whether a path begins with the segment "." or "..".
func isDots(p string) bool {
	p = strings.TrimPrefix(p[1:], ".")
	return p == "" || p[0] == '/'
}

// foldHost is a host in the one spelling that patterns have: lower case, without port and
// without the dot at the end.
func foldHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && (host[0] != '[' && strings.IndexByte(host, ':') == i || strings.HasSuffix(host[:i], "]")) {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	for i := range len(host) {
		if c := host[i]; c >= 'A' && c <= 'Z' {
			return strings.ToLower(host)
		}
	}
	return host
}

// eachReading calls f with the ways in which routers may read a request's path, until it
// returns false: first http.ServeMux's, then the loosest, decoded, cleaned and without
// a final slash. Of each, no more segments than most are told.
func eachReading(r *http.Request, most int, f func(reading) bool) {
	escaped := r.URL.EscapedPath()
	sources := []struct {
		path   string
		decode bool
	}{{escaped, true}, {r.URL.Path, false}, {r.URL.RawPath, false}}
	if r.URL.RawPath == "" {
		sources = sources[1:2] // all are the same
	}
	var seconds []reading
	for i, s := range sources {
		for _, clean := range []bool{true, false} {
			rd := read(s.path, clean, most)
			if s.decode {
				for k, part := range rd.segments {
					rd.segments[k] = unescaped(part)
				}
			}
			bare := reading{rd.segments, false}
			if i == 0 && clean { // ServeMux's
				if !f(rd) {
					return
				}
				rd.slash = false
			}
			if rd.slash {
				seconds = append(seconds, rd)
			}
			seconds = append(seconds, bare)
		}
	}
	for _, rd := range seconds {
		if !f(rd) {
			return
		}
	}
}

// read splits a path, and cleans it if told to.
func read(path string, clean bool, most int) (rd reading) {
	path = strings.TrimPrefix(path, "/")
	rd.slash = path == "" || strings.HasSuffix(path, "/")
	depth := 0
	for path != "" {
		var part string
		part, path, _ = strings.Cut(path, "/")
		if clean && (part == "" || part == ".") {
			continue
		}
		if clean && part == ".." {
			depth = max(0, depth-1)
			rd.segments = rd.segments[:min(depth, len(rd.segments))]
			continue
		}
		if depth++; depth <= most {
			rd.segments = append(rd.segments, part)
		}
	}
	return rd
}

// request is the request whose only reading this is, for the mux that knows the patterns.
// A segment longer than literal, which is as long as any that a pattern names, is any.
func (rd reading) request(method, host string, literal int) *http.Request {
	var raw, path strings.Builder
	for _, part := range rd.segments {
		if part == "" || part == "." || part == ".." || len(part) > literal {
			part = opaque
		}
		raw.WriteString("/" + url.PathEscape(part))
		path.WriteString("/" + part)
	}
	if rd.slash || len(rd.segments) == 0 {
		raw.WriteByte('/')
		path.WriteByte('/')
	}
	return &http.Request{Method: method, Host: host, URL: &url.URL{Host: host, Path: path.String(), RawPath: raw.String()}}
}
