package transport

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// flushAt is how many bytes of answers are written without waiting for the end of what
// has been read: answers may be much longer than requests.
const flushAt = 64 << 10

// Session is the answering side of one connection. Its reading goroutine serves
// requests and writes their answers itself, so that a peer which does not read is not
// read from either. Answers that come later have a writing goroutine.
type Session struct {
	link
	value    any
	admitted bool // it has a place among the server's connections; guarded by Server.mu
	cfg      *Config
	cred     *credentials
	handler  Handler
	writer   chan struct{} // holds one token: whoever put it there may write
	bound    time.Time     // the write deadline; of who has the token
	wake     chan struct{} // holds one signal: there are late answers
	dead     chan struct{} // closed when the session ends

	out  []byte       // answers to what has been read; of the reading goroutine alone
	open atomic.Int64 // requests that are to be answered later

	mu      sync.Mutex // guards what follows, and link.key; never held while writing
	late    []byte     // answers not yet taken by the writing goroutine
	spare   []byte     // the other buffer, nil while it is being written
	writing bool       // answers were taken, and not all of them are written
	closed  bool
}

func newSession(s *Server, l link, value any) *Session {
	return &Session{
		link:    l,
		value:   value,
		cfg:     &s.cfg,
		cred:    s.cred,
		handler: s.handler,
		writer:  make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		dead:    make(chan struct{}),
	}
}

// Value returns what [Handler.Hello] returned for this connection.
func (s *Session) Value() any { return s.value }

// Remote returns the address of the peer.
func (s *Session) Remote() net.Addr { return s.raw.RemoteAddr() }

// Close ends the connection. Requests that have arrived and were not served are lost
// with it, and the peer is told so. It may be called from Serve.
func (s *Session) Close() { s.end() }

// Answer answers a request that Serve left open, once: with a body, which is copied, or
// with an error, of which the peer gets the text. It may be called from any goroutine,
// also before Serve has returned, and does not block. An error says that the peer will
// not get the answer.
func (s *Session) Answer(id uint64, body []byte, failure error) error {
	s.mu.Lock()
	s.open.Add(-1)
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	if len(s.late) >= s.cfg.MaxBuffer {
		s.mu.Unlock()
		s.end() // it has not been reading for a long time
		return ErrBusy
	}
	if len(body) > MaxFrame {
		failure = ErrTooLarge // before it is copied
	}
	s.late = appendAnswer(s.late, id, body, failure)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // woken already
	}
	return nil
}

// appendAnswer appends a whole frame.
func appendAnswer(b []byte, id uint64, body []byte, failure error) []byte {
	start := len(b)
	if failure == nil {
		b = append(beginFrame(b, id, statusOK), body...)
		if endFrame(b, start) {
			return b
		}
		b, failure = b[:start], ErrTooLarge
	}
	text := failure.Error()
	text = text[:min(len(text), MaxFrame/2)]
	b = AppendString(beginFrame(b, id, statusFailed), text)
	endFrame(b, start)
	return b
}

// run serves the connection until it ends, and says why.
func (s *Session) run() error {
	var wg sync.WaitGroup
	wg.Go(s.writeLate)
	err := s.readRequests()
	s.end()
	wg.Wait()
	return err
}

// end ends the session; both goroutines then fail at their next step.
func (s *Session) end() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.dead)
		_ = s.raw.Close()
	}
}

// readRequests serves all that one read brought, and then writes all the answers: the
// more is going on, the fewer system calls each request costs.
func (s *Session) readRequests() error {
	in := frameReader{src: s.conn}
	for {
		frame, err := in.next()
		if err != nil {
			return err
		}
		if frame != nil {
			if err := s.serve(frame); err != nil {
				return err
			}
		}
		if frame == nil || len(s.out) >= flushAt {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if frame == nil {
			if err := in.fill(); err != nil {
				return err
			}
		}
	}
}

// serve answers one request into out, or leaves it to be answered later.
func (s *Session) serve(frame []byte) error {
	id, kind, body, ok := parseFrame(frame)
	if !ok {
		return ErrProtocol
	}
	start := len(s.out)
	if s.open.Load() >= int64(s.cfg.MaxInFlight) {
		s.out = beginFrame(s.out, id, statusBusy)
		endFrame(s.out, start)
		return nil
	}
	if kind == kindProve {
		s.out = s.proveAgain(s.out, id, body)
		return nil
	}
	answer, done, err := s.handler.Serve(s, id, kind, body, beginFrame(s.out, id, statusOK))
	switch {
	case err != nil:
		s.out = appendAnswer(s.out, id, nil, err)
	case !done:
		s.open.Add(1)
	case !endFrame(answer, start):
		s.out = appendAnswer(s.out, id, nil, ErrTooLarge)
	default:
		s.out = answer
	}
	return nil
}

func (s *Session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	err := s.write(s.out)
	s.out = s.out[:0]
	return err
}

// writeLate is the goroutine that writes what Answer queued.
func (s *Session) writeLate() {
	for {
		select {
		case <-s.wake:
		case <-s.dead:
			return
		}
		runtime.Gosched() // others may be about to answer, too: one write for all
		s.mu.Lock()
		buf := s.late
		s.late, s.spare, s.writing = s.spare, nil, len(buf) > 0
		s.mu.Unlock()
		if len(buf) > 0 && s.write(buf) != nil {
			s.end()
			return
		}
		s.mu.Lock()
		s.spare, s.writing = buf[:0], false
		s.mu.Unlock()
	}
}

// answering says whether the peer still waits for something that was left open, or is queued.
func (s *Session) answering() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && (s.open.Load() > 0 || len(s.late) > 0 || s.writing)
}

// write writes all of buf, or ends the session when the peer does not read for
// WriteTimeout, or up to a half more: the deadline is moved only when it comes near,
// because moving it at each write costs a lone caller a good part of its round trip.
//
// Who has the token may wait in here for the peer. The token is a channel because a
// goroutine that waits for a mutex holds up the clock of a simulation.
func (s *Session) write(buf []byte) error {
	s.writer <- struct{}{}
	defer func() { <-s.writer }()
	if now := time.Now(); s.bound.Sub(now) < s.cfg.WriteTimeout {
		s.bound = now.Add(s.cfg.WriteTimeout * 3 / 2)
		if err := s.raw.SetWriteDeadline(s.bound); err != nil {
			return err
		}
	}
	_, err := s.conn.Write(buf)
	return err
}
