package middleware

import (
	"strconv"
)

// The part of Structured Field Values (RFC 9651) that the IETF's rate-limit fields need:
// a list of strings with integer parameters, such as
//
//	"default";q=100;w=60, "burst";q=10;w=1

// appendString appends a string (RFC 9651, 4.1.6). It must be printable ASCII, which
// rule names are by the policy's check.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// appendParam appends an integer parameter. The key must start with a letter in
// lower case; the value must have at most 15 digits.
func appendParam(b []byte, key string, value int64) []byte {
	b = append(b, ';')
	b = append(b, key...)
	b = append(b, '=')
	return strconv.AppendInt(b, value, 10)
}

// isPrintable reports whether s can be a structured string.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
