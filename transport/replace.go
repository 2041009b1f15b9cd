package transport

import "slices"

// A peer whose link was cut, or that was started anew, comes back on a new connection long
// before this side notices that the old one is dead. Its new connection takes the place of
// the old one, or those that come back after a storm would find the server full of the dead.

// Named may be what [Handler.Hello] returns for a session: then the Server knows which
// connections are of one peer.
type Named interface {
	// Who returns who is at the other end, and a number that is another one when that has
	// started anew.
	Who() (peer string, process uint64)
}

// keptConns is how many connections a process may have: one, and one more while the calls
// on the old one end.
const keptConns = 2

// admit makes room for a session whose peer has proved itself: what it replaces is closed.
// It returns false if there is none.
func (s *Server) admit(x *Session) bool {
	s.mu.Lock()
	over := s.replacedLocked(x)
	for _, old := range over {
		s.forgetLocked(old)
	}
	if x.admitted = s.serving < s.cfg.MaxConns; x.admitted {
		s.serving++
		if who, _, ok := x.who(); ok {
			s.named[who] = append(s.named[who], x)
		}
	}
	s.mu.Unlock()
	for _, old := range over {
		old.end()
	}
	return x.admitted
}

// replacedLocked is what a new session takes the place of: those of an earlier process,
// and of its own all but the last. Where the server is full that one goes, too, or that of
// somebody else who has two.
func (s *Server) replacedLocked(x *Session) (over []*Session) {
	who, process, _ := x.who()
	var same []*Session
	for _, old := range s.named[who] {
		if _, p, _ := old.who(); p != process {
			over = append(over, old)
		} else {
			same = append(same, old)
		}
	}
	full := s.serving-len(over) >= s.cfg.MaxConns
	for len(same) >= keptConns || full && len(same) > 0 {
		over, same, full = append(over, same[0]), same[1:], false
	}
	if full {
		for _, list := range s.named {
			if len(list) >= keptConns {
				return append(over, list[0])
			}
		}
	}
	return over
}

// who is who is at the other end, if that is known.
func (s *Session) who() (peer string, process uint64, ok bool) {
	named, ok := s.value.(Named)
	if ok {
		peer, process = named.Who()
	}
	return peer, process, ok
}

// forgetLocked forgets a session that is ending, unless it is forgotten already.
func (s *Server) forgetLocked(x *Session) {
	if !x.admitted {
		return
	}
	x.admitted = false
	s.serving--
	if who, _, ok := x.who(); ok {
		left := slices.DeleteFunc(slices.Clone(s.named[who]), func(old *Session) bool { return old == x })
		if s.named[who] = left; len(left) == 0 {
			delete(s.named, who)
		}
	}
}
