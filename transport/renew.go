package transport

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"time"
)

// How connections follow secrets that change. TLS has keys of its own, so a connection need not
// be made again, which would cost the calls on it their order: whoever dialled proves the new
// secret on it, and is answered by its proof.

// kindProve is the kind of the request that does, and no message's of the package's user.
const kindProve = 0xff

// errRevoked ends a connection whose secret is not accepted any more.
var errRevoked = errors.New("transport: its secret is not accepted any more")

// A peer that does not know a secret yet is asked again after pauses that double.
const (
	renewMin = 100 * time.Millisecond
	renewMax = 10 * time.Second
)

// Renew has the connection follow the secrets after [Keyring.Set]: it proves the first of them to
// the other side, again and again while that does not know it. Calls go on meanwhile. Only a
// connection whose secret is in the ring no more ends at once, and a call makes a new one.
func (p *Peer) Renew() {
	if p.cred == nil {
		return
	}
	c := p.conn.Load()
	if c == nil || p.ctx.Err() != nil {
		return // an attempt under way calls this at its end
	}
	if key := c.proved(); !p.cred.ring.has(key) {
		c.fail(errRevoked)
		return
	} else if hmac.Equal(key, p.cred.ring.first()) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && !p.renewing {
		p.renewing = true
		p.wg.Go(p.renew)
	}
}

// renew is the goroutine that proves the first secret on the connection that there is, until it
// is believed.
func (p *Peer) renew() {
	pause := renewMin
	for p.ctx.Err() == nil {
		c := p.conn.Load()
		if c == nil || hmac.Equal(c.proved(), p.cred.ring.first()) {
			break
		}
		m := &proveMessage{conn: c, key: p.cred.ring.first()}
		answered := make(chan error, 1)
		_, _, err := c.send(time.Now().Add(p.cfg.CallTimeout), kindProve, m, func(err error) { answered <- err })
		if err == nil {
			err = <-answered
		}
		if err == nil {
			continue
		}
		if _, ok := errors.AsType[RemoteError](err); ok {
			p.report(fmt.Errorf("%w: %w", ErrProof, err))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.dead:
		case <-p.ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, renewMax)
	}
	p.mu.Lock()
	p.renewing = false
	p.mu.Unlock()
	p.Renew() // for who changed the secrets a moment ago, and found this at work
}

// proved is the key that the connection was proved by last.
func (c *conn) proved() ringKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key
}

// proveMessage proves a key to the other side of a connection, which proves it in turn.
type proveMessage struct {
	conn *conn
	key  ringKey
}

// AppendRequest appends the proof.
func (m *proveMessage) AppendRequest(b []byte) []byte {
	return AppendBytes(b, m.key.proof(m.conn.exporter, roleDialer))
}

// ReadAnswer checks the other side's.
func (m *proveMessage) ReadAnswer(body []byte) error {
	r := NewReader(body)
	got := r.Bytes()
	if r.Err() != nil || !hmac.Equal(got, m.key.proof(m.conn.exporter, roleListener)) {
		return ErrProof
	}
	m.conn.mu.Lock()
	m.conn.key = m.key
	m.conn.mu.Unlock()
	return nil
}

// proveAgain answers a dialer that proves another secret.
func (s *Session) proveAgain(out []byte, id uint64, body []byte) []byte {
	r := NewReader(body)
	got := r.Bytes()
	if r.Err() != nil || s.cred == nil {
		return appendAnswer(out, id, nil, ErrProtocol)
	}
	key := s.cred.ring.proven(s.exporter, roleDialer, got)
	if key == nil {
		return appendAnswer(out, id, nil, errUnknownSecret)
	}
	s.mu.Lock()
	s.key = key
	s.mu.Unlock()
	if s.revoked() { // meanwhile
		s.end()
	}
	return appendAnswer(out, id, AppendBytes(nil, key.proof(s.exporter, roleListener)), nil)
}

// errUnknownSecret is what a dialer gets that is ahead of the listener.
var errUnknownSecret = errors.New("the listener does not accept the dialer's first secret yet")

// revoked says that the secret by which the other side proved itself is not accepted any more.
func (s *Session) revoked() bool {
	if s.cred == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cred.ring.has(s.key)
}

// Renew ends, after [Keyring.Set], the connections of those who proved a secret that is not
// accepted any more, and have not proved another one since.
func (s *Server) Renew() {
	var over []*Session
	s.mu.Lock()
	for _, x := range s.conns {
		if x != nil && x.revoked() {
			over = append(over, x)
		}
	}
	s.mu.Unlock()
	for _, x := range over {
		x.end()
	}
}
