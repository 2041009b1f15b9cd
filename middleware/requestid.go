package middleware

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

// requestIDMax is the longest request id that is taken over from a client.
const requestIDMax = 128

// requestID names a request: as it is known, else by a new UUID.
func (p *compiled) requestID(h http.Header, r *http.Request) string {
	if id := p.knownID(h, r); id != "" {
		return id
	}
	return newUUID()
}

// knownID is a request's name by the policy's function, by its X-Request-Id, or the one that an
// outer handler already put on the response, whose header is h; else "".
func (p *compiled) knownID(h http.Header, r *http.Request) string {
	if p.requestIDOf != nil {
		if id := p.requestIDOf(r); isSane(id) {
			return id
		}
	}
	if id := first(r, headerRequestID); isSane(id) {
		return id
	}
	if v := h[headerRequestID]; len(v) > 0 && isSane(v[0]) {
		return v[0]
	}
	return ""
}

// isSane reports whether id may be logged and sent back: short, and without a character
// that could end a line or hide in one.
func isSane(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= requestIDMax
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails: it ends the program instead
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	var b [36]byte
	hex.Encode(b[0:], u[0:4])
	hex.Encode(b[9:], u[4:6])
	hex.Encode(b[14:], u[6:8])
	hex.Encode(b[19:], u[8:10])
	hex.Encode(b[24:], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
