package transport

import (
	"crypto/hmac"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
	"unicode/utf8"
)

// link is a connection whose handshake is done.
type link struct {
	raw    net.Conn // to close: closing a TLS connection may wait for a peer that does not read
	conn   net.Conn // to read and write: raw, or TLS on top of it
	minor  uint64
	stream bool
	body   []byte        // the peer's hello, or its reply to ours
	took   time.Duration // the round trip from our hello to the reply; of a dialer only

	exporter []byte  // of the TLS channel, which proofs are bound to; nil without a secret
	key      ringKey // the one that was proved last; whose link it is says what guards it
}

// dialHandshake is the dialer's side. The caller has set a deadline on raw, and closes
// it after an error.
func dialHandshake(cfg *Config, cred *credentials, raw net.Conn, h hello) (link, error) {
	l := link{raw: raw, conn: raw, stream: h.stream}
	if len(h.body) > MaxHello {
		return l, fmt.Errorf("transport: the hello is %d bytes long, at most %d are allowed", len(h.body), MaxHello)
	}
	err := knock(cred, raw)
	if err != nil {
		return l, err
	}
	if cred != nil {
		conn := tls.Client(raw, cred.tls)
		l.conn = conn
		if l.exporter, l.key, err = proveFirst(cred, conn); err != nil {
			return l, certificateError(cfg, err)
		}
	}
	h.minors, h.label = cfg.minors, cfg.Label
	b, err := h.encode()
	if err != nil {
		return l, err
	}
	began := time.Now()
	if _, err := l.conn.Write(b); err != nil {
		return l, err
	}
	frame, err := readHelloFrame(l.conn)
	if err != nil {
		return l, err
	}
	l.took = time.Since(began)
	w, err := decodeWelcome(frame)
	if err != nil {
		return l, err
	}
	if w.refused {
		return l, &RefusedError{Reason: w.reason, Version: w.version}
	}
	if w.minor < cfg.minors.low || w.minor > cfg.minors.high {
		return l, fmt.Errorf("%w: minor version %d was not offered", ErrProtocol, w.minor)
	}
	l.minor, l.body = w.minor, w.body
	return l, nil
}

// readStatus reads the listener's one byte. A refusal becomes an error.
func readStatus(r io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if s := status(b[0]); s != statusGo {
		return &RefusedError{Reason: s.reason(), Version: s == statusVersion}
	}
	return nil
}

// proveFirst is the dialer's part of the mutual proof: it goes first, because it is
// the listener that strangers can ask. The listener answers by the key that it was shown.
func proveFirst(cred *credentials, conn *tls.Conn) (exporter []byte, key ringKey, err error) {
	if err := conn.Handshake(); err != nil {
		return nil, nil, err
	}
	if exporter, err = exporterOf(conn); err != nil {
		return nil, nil, err
	}
	key = cred.ring.first()
	if _, err := conn.Write(key.proof(exporter, roleDialer)); err != nil {
		return nil, nil, err
	}
	if err := readStatus(conn); err != nil {
		return nil, nil, err
	}
	got := make([]byte, proofLen)
	if _, err := io.ReadFull(conn, got); err != nil {
		return nil, nil, err
	}
	if !hmac.Equal(got, key.proof(exporter, roleListener)) {
		return nil, nil, ErrProof
	}
	return exporter, key, nil
}

// listenHandshake is the listener's side for who is through the door, up to the point where the answer to the
// hello is due: see welcomeDialer. The caller has set a deadline on raw.
func listenHandshake(cfg *Config, cred *credentials, raw net.Conn) (link, error) {
	l := link{raw: raw, conn: raw}
	if err := sendStatus(raw, statusGo); err != nil {
		return l, err
	}
	if cred != nil {
		conn := tls.Server(raw, cred.tls)
		l.conn = conn
		var err error
		if l.exporter, l.key, err = proveSecond(cred, conn); err != nil {
			return l, certificateError(cfg, err)
		}
	}
	frame, err := readHelloFrame(l.conn)
	if err != nil {
		return l, err
	}
	h, err := decodeHello(frame)
	if err != nil {
		return l, err
	}
	l.body, l.stream = h.body, h.stream
	// The version comes first: what a label means is for a version to say.
	minor, ok := cfg.minors.common(h.minors)
	switch {
	case !ok:
		return l, refuse(l.conn, VersionError(fmt.Sprintf("no common wire version, see docs/upgrading.md: the dialer speaks %v, the listener %v", h.minors, cfg.minors)))
	case h.label != cfg.Label:
		return l, refuse(l.conn, fmt.Errorf("the labels differ: the dialer has %q, the listener %q", h.label, cfg.Label))
	}
	l.minor = minor
	return l, nil
}

// sendStatus answers with s, and makes an error of everything that ends the connection.
func sendStatus(w io.Writer, s status) error {
	_, err := w.Write([]byte{byte(s)})
	if s != statusGo {
		return &RefusedError{Reason: s.reason(), Version: s == statusVersion}
	}
	return err
}

// proveSecond is the listener's part: it shows its own proof only to one who knows a
// secret already, and of that one.
func proveSecond(cred *credentials, conn *tls.Conn) (exporter []byte, key ringKey, err error) {
	if err := conn.Handshake(); err != nil {
		return nil, nil, err
	}
	if exporter, err = exporterOf(conn); err != nil {
		return nil, nil, err
	}
	got := make([]byte, proofLen)
	if _, err := io.ReadFull(conn, got); err != nil {
		return nil, nil, err
	}
	if key = cred.ring.proven(exporter, roleDialer, got); key == nil {
		return nil, nil, sendStatus(conn, statusWrongSecret)
	}
	_, err = conn.Write(append([]byte{byte(statusGo)}, key.proof(exporter, roleListener)...))
	return exporter, key, err
}

// welcomeDialer ends the handshake well. The deadline goes with it: a connection may be
// idle for ever, keepalive tells whether anybody is there.
func welcomeDialer(l link, reply []byte) error {
	if len(reply) > MaxHello {
		return fmt.Errorf("transport: the reply to a hello is %d bytes long, at most %d are allowed", len(reply), MaxHello)
	}
	b, err := welcome{minor: l.minor, body: reply}.encode()
	if err != nil {
		return err
	}
	if _, err := l.conn.Write(b); err != nil {
		return err
	}
	return l.raw.SetDeadline(time.Time{})
}

// refuse ends the handshake with a reason, of which the dialer gets what fits, and
// returns it as the error.
func refuse(w io.Writer, why error) error {
	reason := why.Error()
	_, version := errors.AsType[VersionError](why)
	sent := reason
	if len(sent) > MaxReason {
		sent = sent[:MaxReason]
		for !utf8.ValidString(sent) && len(sent) > MaxReason-utf8.UTFMax { // do not cut a character in half
			sent = sent[:len(sent)-1]
		}
	}
	b, err := welcome{refused: true, reason: sent, version: version}.encode()
	if err != nil {
		return err
	}
	_, _ = w.Write(b) // the reason below is the better error
	return &RefusedError{Reason: reason, Version: version}
}
