package clientip

import (
	"net/netip"
	"strings"
)

// elementMax is the longest element of a list that is looked into: an address, and for
// Forwarded also a host name and the like.
const elementMax = 1 << 10

// list yields the addresses of a forwarding header from right to left. Several header
// lines are one list, in their order (RFC 9110, 5.3). Of a line only the elements that
// are asked for are looked at, however long it is: clients can make it as long as the
// server's limit for headers, and proxies append to it all the same.
type list struct {
	source Source
	lines  []string
	rest   string // of the line in work, what lies left of the last element
	open   bool   // whether there is a line in work
}

func newList(header map[string][]string, source Source) list {
	if source == Forwarded {
		return list{source: source, lines: header["Forwarded"]}
	}
	return list{source: source, lines: header["X-Forwarded-For"]}
}

// previous returns the next address to the left, or that there is none left, or that it
// cannot be read. Then the walk is over: what lies left of something unreadable is worth
// nothing.
func (l *list) previous() (netip.Addr, finding) {
	if !l.open {
		if len(l.lines) == 0 {
			return netip.Addr{}, nothing
		}
		l.rest, l.lines = l.lines[len(l.lines)-1], l.lines[:len(l.lines)-1]
	}
	end := l.rest[max(0, len(l.rest)-elementMax):]
	comma, ok := strings.LastIndexByte(end, ','), true
	if l.source == Forwarded {
		comma, ok = lastComma(end)
	}
	element := end[comma+1:]
	if !ok || comma < 0 && len(end) < len(l.rest) {
		return netip.Addr{}, unreadable
	}
	l.open = comma >= 0
	l.rest = l.rest[:len(l.rest)-len(element)]
	l.rest = strings.TrimSuffix(l.rest, ",")
	if l.source == Forwarded {
		if element, ok = forParameter(element); !ok {
			return netip.Addr{}, unreadable
		}
	}
	if a, ok := ParseAddr(strings.Trim(element, " \t")); ok {
		return a, address
	}
	return netip.Addr{}, unreadable
}

// lastComma is the index of the last comma outside of quoted strings, or -1, and false if a
// quoted string has no beginning. It looks from the right, where a proxy's element ends:
// so a client cannot swallow that element by opening a quote in its own.
func lastComma(s string) (int, bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && quoted:
			before := strings.TrimRight(s[:i], `\`)
			quoted = (i-len(before))%2 == 1 // an escaped quote is no quote
		case s[i] == '"':
			quoted = true
		case s[i] == ',' && !quoted:
			return i, true
		}
	}
	return -1, !quoted
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
		switch {
		case !ok || !isToken(name):
			return "", false
		case !strings.EqualFold(name, "for"):
			continue
		case found:
			return "", false // twice: which one would the next reader take?
		}
		if value, found = unquote(v); !found {
			return "", false
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

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") == ""
}
