package middleware

import (
	"net/http"
	"net/netip"
	"strings"
)

const (
	// hopsMax bounds the walk: no honest request passes more proxies.
	hopsMax = 32
	// lineMax bounds one header line that is looked into.
	lineMax = 8 << 10
)

// chain yields the addresses of a forwarding header from right to left. Several header
// lines are one list, in their order (RFC 9110, 5.3).
type chain struct {
	source Source
	lines  []string
	rest   string // of the line in work, what lies left of the last address
	open   bool   // whether there is a line in work
}

func newChain(r *http.Request, source Source) chain {
	if source == Forwarded {
		return chain{source: source, lines: r.Header["Forwarded"]}
	}
	return chain{source: source, lines: r.Header["X-Forwarded-For"]}
}

// previous returns the next address to the left, and false where there is none or it
// cannot be read. After false the walk is over: what lies left of something
// unreadable is worth nothing.
func (c *chain) previous() (netip.Addr, bool) {
	if !c.open {
		if len(c.lines) == 0 {
			return netip.Addr{}, false
		}
		c.rest, c.lines = c.lines[len(c.lines)-1], c.lines[:len(c.lines)-1]
	}
	if len(c.rest) > lineMax {
		return netip.Addr{}, false
	}
	var last string
	if c.source == Forwarded {
		last, c.rest, c.open = cut(c.rest, lastComma(c.rest))
		var ok bool
		if last, ok = forParameter(last); !ok {
			return netip.Addr{}, false
		}
	} else {
		last, c.rest, c.open = cut(c.rest, strings.LastIndexByte(c.rest, ','))
	}
	return parseAddr(strings.Trim(last, " \t"))
}

// cut splits a list at the comma at index at, or takes all of it where at is -1.
func cut(list string, at int) (last, rest string, more bool) {
	if at < 0 {
		return list, "", false
	}
	return list[at+1:], list[:at], true
}

// lastComma is the index of the last comma outside of quoted strings, or -1. A quoted
// string that does not end makes all that follows it part of the last element, which
// is then malformed: a client may have opened the quote just to swallow what the
// proxies append.
func lastComma(s string) int {
	at, quoted := -1, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			at = i
		}
	}
	return at
}

// forParameter is the value of the one "for" parameter of an element of Forwarded
// (RFC 7239, 4), unquoted; false if the element is malformed or has none.
func forParameter(element string) (string, bool) {
	value, found := "", false
	for element != "" {
		pair, rest, ok := cutPair(element)
		if !ok {
			return "", false
		}
		element = rest
		pair = strings.Trim(pair, " \t")
		if pair == "" {
			continue // an empty parameter, as in "for=a;;by=b", says nothing
		}
		name, v, ok := strings.Cut(pair, "=")
		if !ok || !isToken(name) {
			return "", false
		}
		if v, ok = unquote(v); !ok {
			return "", false
		}
		if strings.EqualFold(name, "for") {
			if found {
				return "", false // twice: which one would the next reader take?
			}
			value, found = v, true
		}
	}
	return value, found
}

// cutPair splits at the first semicolon outside of quoted strings.
func cutPair(s string) (pair, rest string, ok bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", !quoted
}

// unquote is the value of a token or a quoted string. It is generous with tokens, because
// proxies forget the quotes around "for=192.0.2.1:80"; whether it is an address is
// judged later. An address needs no escapes, so a quoted string that has one is
// refused rather than interpreted.
func unquote(v string) (string, bool) {
	if !strings.HasPrefix(v, `"`) {
		return v, v != "" && !strings.ContainsAny(v, "\"\\ \t")
	}
	if len(v) < 2 || !strings.HasSuffix(v, `"`) {
		return "", false
	}
	v = v[1 : len(v)-1]
	return v, !strings.ContainsAny(v, `"\`)
}

// parseAddr reads an address in any notation that proxies and net/http write: bare, with
// a port, in brackets. IPv4-mapped IPv6 becomes IPv4 and a zone is dropped: one client,
// one address, and a zone is a name that only this host knows.
func parseAddr(s string) (netip.Addr, bool) {
	var a netip.Addr
	var err error
	switch {
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		if a, err = netip.ParseAddr(s[1 : len(s)-1]); err == nil && !a.Is6() {
			return netip.Addr{}, false
		}
	case strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1:
		var p netip.AddrPort
		p, err = netip.ParseAddrPort(s)
		a = p.Addr()
	default:
		a, err = netip.ParseAddr(s)
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return a.WithZone("").Unmap(), true
}
