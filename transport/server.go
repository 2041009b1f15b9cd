package transport

import (
	"bufio"
	"crypto/rand"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Handler is what a [Server] serves.
type Handler interface {
	// Hello judges a dialer by the bytes with which it introduced itself, which the
	// Handler may keep. The session goes to every Serve of this connection, the reply to
	// the dialer. An error refuses the dialer, and its text is the reason that it gets.
	Hello(remote net.Addr, hello []byte) (session any, reply []byte, err error)

	// Serve answers one request. It appends the body of the answer to buf and returns the
	// longer buf with done true. Or it returns done false, and answers later, once, with
	// [Session.Answer]. An error, with done either way, is the answer's text.
	//
	// It runs on the connection's reading goroutine, in the order of arrival: it must not
	// block. body is valid during the call only; nothing of buf may be kept or changed.
	// A panic is not recovered. The kind 255 is the transport's own.
	Serve(s *Session, id uint64, kind uint8, body, buf []byte) (answer []byte, done bool, err error)
}

// Server answers the calls of any number of peers, on connections that its user
// accepts. It is safe for concurrent use.
type Server struct {
	cfg     Config
	cred    *credentials
	handler Handler
	wg      sync.WaitGroup // every goroutine of this Server

	mu          sync.Mutex // guards what follows
	closed      bool
	door        door
	turned      Turned
	conns       map[net.Conn]*Session                  // all that are open, nil until they have proved themselves
	named       map[string][]*Session                  // by who is at the other end, the oldest first: see replace.go
	handshaking int                                    // how many of conns are through the door, and no further
	serving     int                                    // and how many have, and were let in
	logged      map[complaint]map[netip.Addr]time.Time // when it was last made, by source
}

// NewServer returns a Server that serves no connection yet.
func NewServer(cfg Config, handler Handler) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cred, err := newCredentials(&cfg, true)
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg:     cfg,
		cred:    cred,
		handler: handler,
		conns:   make(map[net.Conn]*Session),
		named:   make(map[string][]*Session),
		logged:  make(map[complaint]map[netip.Addr]time.Time),
		door:    door{known: cfg.Known, sources: make(map[netip.Addr]int), random: bufio.NewReaderSize(rand.Reader, noncePool)},
	}, nil
}

// ServeConn takes over a connection, and returns at once. Until that has proved the secret, it
// has a place among the strangers: see door.go. Beyond MaxHandshakes it is closed then; beyond
// MaxConns too, once it is clear who dials, unless it replaces another.
func (s *Server) ServeConn(raw net.Conn) {
	addr, from := source(raw)
	class := s.door.class(addr)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = raw.Close()
		return
	}
	now := time.Now()
	out := s.door.enter(raw, class, from, now, s.cfg.HandshakeTimeout)
	if out != nil {
		s.turned.Crowded++
	}
	s.armLocked(now, s.door.places[class][len(s.door.places[class])-1].until)
	s.conns[raw] = nil
	nonce := s.door.nonce()
	s.wg.Go(func() {
		if s.admitAtDoor(raw, nonce) {
			s.serve(raw)
		}
	})
	s.mu.Unlock()
	if out != nil {
		_ = out.Close()
		s.report(raw, "turned a connection away", ErrBusy, false)
	}
}

// Turned reads the counters.
func (s *Server) Turned() Turned {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turned
}

// admitAtDoor says whether a connection has proved the secret in time, and found a place
// for the rest of the handshake, which then is counted in handshaking.
func (s *Server) admitAtDoor(raw net.Conn, nonce [nonceLen]byte) bool {
	err := admitPreface(s.cred, raw, nonce)
	refusal, refused := errors.AsType[*RefusedError](err)
	garbage := errors.Is(err, ErrProtocol)
	s.mu.Lock()
	there := s.door.leave(raw)
	if !there && err == nil {
		err = net.ErrClosed // it is being closed
	}
	busy := err == nil && s.handshaking >= s.cfg.MaxHandshakes
	switch {
	case busy:
		s.turned.Busy++
	case err == nil:
		s.handshaking++
	case garbage:
		s.turned.Garbage++
	case refused && refusal.Reason == statusVersion.reason():
		s.turned.Refused++
	case refused:
		s.turned.WrongSecret++
	case there && !s.closed: // else it was counted, or is nobody's fault
		s.turned.Silent++
	}
	closed := s.closed
	if err != nil || busy {
		delete(s.conns, raw)
	}
	s.mu.Unlock()
	switch {
	case busy:
		_ = raw.SetDeadline(time.Now().Add(doorQuick))
		_ = sendStatus(raw, statusTooBusy)
		s.report(raw, "turned a connection away", ErrBusy, true)
	case err == nil:
		return true
	case closed:
	case refused:
		s.report(raw, "refused a connection", refusal, false)
	case garbage:
		s.report(raw, "closed a connection", err, false)
	}
	_ = raw.Close()
	return false
}

// serve is the rest of a connection's goroutine, when it is through the door. It is no part of
// what strangers cost: their stacks stay as small as they begin.
func (s *Server) serve(raw net.Conn) {
	tuneSocket(raw)
	session, l, err := s.handshake(raw)
	s.mu.Lock()
	s.handshaking--
	if session != nil {
		s.conns[raw] = session
	}
	s.mu.Unlock()
	if err == nil && l.stream {
		s.takeStream(raw, l)
		return
	}
	if err == nil && session.revoked() { // meanwhile: who looked through conns has not seen it
		err = &RefusedError{Reason: statusWrongSecret.reason()}
	}
	if err == nil {
		err = session.run()
	}
	s.mu.Lock()
	closed := s.closed
	delete(s.conns, raw)
	if session != nil {
		s.forgetLocked(session)
	}
	s.mu.Unlock()
	_ = raw.Close()
	if closed {
		return
	}
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		s.mu.Lock()
		s.turned.Refused++
		s.mu.Unlock()
		s.report(raw, "refused a connection", refusal, true)
	} else if errors.Is(err, ErrProtocol) || errors.Is(err, ErrCertificate) {
		s.report(raw, "closed a connection", err, true)
	}
}

// handshake returns the session, or none for a stream.
func (s *Server) handshake(raw net.Conn) (*Session, link, error) {
	if err := raw.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout)); err != nil {
		return nil, link{}, err
	}
	l, err := listenHandshake(&s.cfg, s.cred, raw)
	switch {
	case err != nil:
		return nil, l, err
	case l.stream && s.cfg.Streams == nil:
		return nil, l, refuse(l.conn, errors.New("the listener takes no streams"))
	case l.stream:
		return nil, l, welcomeDialer(l, nil)
	}
	if err := identify(&s.cfg, l); err != nil {
		return nil, l, refuse(l.conn, err)
	}
	value, reply, err := s.handler.Hello(raw.RemoteAddr(), l.body)
	if err != nil {
		return nil, l, refuse(l.conn, err)
	}
	session := newSession(s, l, value)
	if !s.admit(session) {
		return session, l, refuse(l.conn, errors.New(statusTooBusy.reason()))
	}
	return session, l, welcomeDialer(l, reply)
}

// Answering says whether a request that Serve left open has not been answered yet, or an answer
// has not been written: it would be lost with Close.
func (s *Server) Answering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.conns {
		if session != nil && session.answering() {
			return true
		}
	}
	return false
}

// Close closes every connection and waits for all goroutines of the Server. The user
// stops accepting first, or after: a connection that comes late is closed.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	if s.door.timer != nil {
		s.door.timer.Stop()
	}
	open := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, raw := range open {
		_ = raw.Close()
	}
	s.wg.Wait()
}
