package transport

import (
	"bytes"
	"net"
)

// Preface is how every connection of this package begins. A port that is shared with
// another protocol recognises ours by these bytes.
const Preface = "weir"

const (
	wireVersion = 1
	flagTLS     = 1 << 0

	prefaceLen = len(Preface) + 2
)

// status is the byte with which a listener answers the preface and the proof.
type status byte

const (
	statusGo status = iota
	statusVersion
	statusNeedsSecret
	statusNoSecret
	statusWrongSecret
	statusTooBusy
)

// reason says what a status means, in words that are true on either side.
func (s status) reason() string {
	switch s {
	case statusVersion:
		return "the dialer's wire version is not the listener's"
	case statusNeedsSecret:
		return "the listener has a secret and the dialer has none"
	case statusNoSecret:
		return "the dialer has a secret and the listener has none"
	case statusWrongSecret:
		return "the secrets differ"
	case statusTooBusy:
		return "the listener has too many connections"
	}
	return "unknown status"
}

// preface returns the bytes with which a dialer begins.
func preface(tls bool) []byte {
	var flags byte
	if tls {
		flags = flagTLS
	}
	return append([]byte(Preface), wireVersion, flags)
}

// judge decides what a listener answers to a preface. ok is false for a stranger, who
// gets no answer at all.
func judge(head []byte, secret bool) (s status, ok bool) {
	if !bytes.HasPrefix(head, []byte(Preface)) || len(head) != prefaceLen {
		return 0, false
	}
	version, tls := head[len(Preface)], head[len(Preface)+1]&flagTLS != 0
	switch {
	case version != wireVersion:
		return statusVersion, true
	case secret && !tls:
		return statusNeedsSecret, true
	case !secret && tls:
		return statusNoSecret, true
	}
	return statusGo, true
}

// Unread returns conn with head before all that is still to be read from it: for whoever
// peeked at a connection to see whose it is. head is kept. What wants the socket itself
// finds it through NetConn.
func Unread(conn net.Conn, head []byte) net.Conn {
	return &unread{Conn: conn, head: head}
}

type unread struct {
	net.Conn
	head []byte
}

func (u *unread) Read(b []byte) (int, error) {
	if len(u.head) > 0 {
		n := copy(b, u.head)
		u.head = u.head[n:]
		return n, nil
	}
	return u.Conn.Read(b)
}

// NetConn returns the connection underneath, as that of crypto/tls does.
func (u *unread) NetConn() net.Conn { return u.Conn }
