package transport

import (
	"maps"
	"net"
	"net/netip"
	"time"
)

// Complaints are what a server logs of who connects: strangers must not be able to fill a disk
// with them, nor to keep out those about members.

const (
	logEvery = 10 * time.Second // how often a server complains of the same thing about the same source
	logMost  = 16               // of one kind, about strangers or about others, within that time
)

// complaint is a kind of them.
type complaint struct {
	what   string
	proved bool // about who has proved the secret
}

// report logs what an operator should see: two sides that can never talk, garbage, a flood.
func (s *Server) report(raw net.Conn, what string, err error, proved bool) {
	if !s.worthSaying(raw, complaint{what, proved}) {
		return
	}
	log := s.cfg.Logger
	if !proved {
		log = s.cfg.Strangers
	}
	log.Warn("transport: "+what, "remote", raw.RemoteAddr(), "reason", err)
}

// worthSaying notes a complaint, if it was not made a moment ago, nor many of its kind.
func (s *Server) worthSaying(raw net.Conn, c complaint) bool {
	now := time.Now()
	_, from := source(raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.logged[c]
	if at, ok := told[from]; ok && now.Sub(at) < logEvery {
		return false
	}
	if len(told) >= logMost {
		maps.DeleteFunc(told, func(_ netip.Addr, at time.Time) bool { return now.Sub(at) >= logEvery })
	}
	switch {
	case len(told) >= logMost:
		return false
	case told == nil:
		told = make(map[netip.Addr]time.Time)
		s.logged[c] = told
	}
	told[from] = now
	return true
}
