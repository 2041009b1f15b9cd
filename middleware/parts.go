package middleware

import (
	"strconv"
	"strings"
)

// The parts of a subject, for those who are told of it: a log line wants the tenant and the
// address, not "4:acme9:192.0.2.1".

// joined takes apart what Join makes of keys.
func joined(keys []Key) func(string) []string {
	return func(subject string) (parts []string) {
		for _, k := range keys {
			n, rest := cutLength(subject)
			if n > len(rest) {
				return append(parts, subject) // of the shared budget: there is nothing in it
			}
			parts = append(parts, k.split(rest[:n])...)
			subject = rest[n:]
		}
		return parts
	}
}

// firstOf takes apart what FirstOf makes of keys.
func firstOf(keys []Key) func(string) []string {
	return func(subject string) []string {
		i, rest := cutLength(subject)
		if i >= len(keys) {
			return []string{subject}
		}
		return keys[i].split(rest)
	}
}

// split are the parts of a subject of the key.
func (k Key) split(subject string) []string {
	if k.parts == nil {
		return []string{subject}
	}
	return k.parts(subject)
}

// cutLength undoes appendLength. The number is beyond anything where there is none.
func cutLength(s string) (n int, rest string) {
	digits, rest, ok := strings.Cut(s, ":")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 {
		return int(^uint(0) >> 1), s
	}
	return n, rest
}
