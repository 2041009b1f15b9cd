package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"
)

// A connection is a stranger's until it has answered the listener's nonce with a proof of the
// secret, before TLS. Strangers have places of their own, by where they come from, and who
// comes next takes the place of the source that has most, of its oldest: an honest dialer needs one
// round trip, so a flood keeps nobody out who is not slower than it fills all places. What a
// stranger costs is a goroutine, 17 bytes to it, 38 from it and two HMACs, for doorQuick. It has
// no timer of its own, nor a deadline: see doortime.go.

const (
	doorKnown   = 96  // places of unproved connections for known addresses
	doorOthers  = 160 // and for all others
	doorSource  = 32  // of them for one address, or one IPv6 network of 64 bits
	doorCrowded = 16  // from so many on they get less time
	doorPatient = 2 * time.Second
	doorQuick   = 300 * time.Millisecond

	nonceLen    = 16
	noncePool   = 64 * nonceLen // bytes of randomness that are made at once
	greetingLen = 1 + nonceLen
	roleDoor    = "weir door"
)

// Turned counts the connections that a [Server] did not let in, by reason.
type Turned struct {
	Crowded     int64 // gave its place to a later one before it had proved the secret
	Silent      int64 // did not prove the secret in time, or went away
	Garbage     int64 // began with what is not ours
	WrongSecret int64 // proved another secret, or none
	Refused     int64 // speaks another version, has another label, or is no member for another reason
	Busy        int64 // found all places of proved connections taken
}

// door is the places of those who have not proved themselves. The Server's lock guards it.
type door struct {
	known   func(netip.Addr) bool
	places  [2][]stranger // in the order of their coming; of known addresses, of others
	sources map[netip.Addr]int
	random  *bufio.Reader
	timer   *time.Timer // until the earliest until, or before it; nil: there was nobody yet
	armed   time.Time   // when it fires; zero: it does not
}

type stranger struct {
	raw    net.Conn
	source netip.Addr
	until  time.Time // it may have its place
}

// source is whose a connection is: the address, or the network of an IPv6 address.
func source(raw net.Conn) (addr, from netip.Addr) {
	if t, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		addr = t.AddrPort().Addr().Unmap().WithZone("")
	}
	from = addr
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	return addr, from
}

// class is the index of the places that an address may have.
func (d *door) class(addr netip.Addr) int {
	if d.known != nil && d.known(addr) {
		return 0
	}
	return 1
}

// enter gives raw a place, for at most so long. If it is another's, that connection is
// returned, to be closed.
func (d *door) enter(raw net.Conn, class int, from netip.Addr, now time.Time, most time.Duration) (out net.Conn) {
	places := d.places[class]
	switch {
	case d.sources[from] >= doorSource: // it displaces itself, unless its others are of the other class
		if i := slices.IndexFunc(places, func(s stranger) bool { return s.source == from }); i >= 0 {
			out = d.remove(class, i)
		}
	case len(places) >= [2]int{doorKnown, doorOthers}[class]:
		many, of := 0, 0
		for i, s := range places {
			if n := d.sources[s.source]; n > many {
				many, of = n, i
			}
		}
		out = d.remove(class, of)
	}
	most = min(most, doorPatient)
	if len(d.places[class]) >= doorCrowded {
		most = min(most, doorQuick)
	}
	d.places[class] = append(d.places[class], stranger{raw, from, now.Add(most)})
	d.sources[from]++
	return out
}

// leave gives a place back, and says whether it had not been taken away.
func (d *door) leave(raw net.Conn) bool {
	for class, places := range d.places {
		if i := slices.IndexFunc(places, func(s stranger) bool { return s.raw == raw }); i >= 0 {
			d.remove(class, i)
			return true
		}
	}
	return false
}

func (d *door) remove(class, i int) net.Conn {
	s := d.places[class][i]
	d.places[class] = slices.Delete(d.places[class], i, i+1)
	if d.sources[s.source]--; d.sources[s.source] == 0 {
		delete(d.sources, s.source)
	}
	return s.raw
}

// nonce makes a nonce.
func (d *door) nonce() (n [nonceLen]byte) {
	if _, err := io.ReadFull(d.random, n[:]); err != nil {
		panic(err) // crypto/rand never fails
	}
	return n
}

// admitPreface is the listener's part of the door, for a connection that will be closed if it
// takes too long. It tells the dialer how it ended, unless that is a stranger of another protocol.
func admitPreface(cred *credentials, raw net.Conn, nonce [nonceLen]byte) error {
	greeting := append(make([]byte, 1, greetingLen), nonce[:]...) // that it listens, and the nonce
	if _, err := raw.Write(greeting); err != nil {
		return err
	}
	head := make([]byte, prefaceLen)
	if _, err := io.ReadFull(raw, head[:len(Preface)]); err != nil {
		return err
	}
	if string(head[:len(Preface)]) != Preface { // it may not say more
		return fmt.Errorf("%w: a stranger's first bytes", ErrProtocol)
	}
	if _, err := io.ReadFull(raw, head[len(Preface):len(Preface)+1]); err != nil {
		return err
	}
	if head[len(Preface)] != wireVersion { // its preface may be shorter
		return sendStatus(raw, statusVersion)
	}
	if _, err := io.ReadFull(raw, head[len(Preface)+1:]); err != nil {
		return err
	}
	s := judge(head, cred != nil)
	if s == statusGo && cred != nil && cred.ring.proven(doorBinding(greeting, head), roleDoor, head[prefaceHead:]) == nil {
		s = statusWrongSecret
	}
	if s != statusGo {
		return sendStatus(raw, s)
	}
	return nil
}

// knock is the dialer's part: it answers the nonce.
func knock(cred *credentials, raw net.Conn) error {
	greeting := make([]byte, greetingLen)
	if err := readStatus(raw); err != nil { // its byte is statusGo, 0
		return err
	}
	if _, err := io.ReadFull(raw, greeting[1:]); err != nil {
		return err
	}
	_, werr := raw.Write(preface(cred, greeting))
	err := readStatus(raw) // a listener that refuses may not read all
	if _, refused := errors.AsType[*RefusedError](err); !refused && werr != nil {
		return werr
	}
	return err
}

// doorBinding is what the proof at the door is of.
func doorBinding(greeting, head []byte) []byte {
	return append(slices.Clone(greeting), head[:prefaceHead]...)
}
