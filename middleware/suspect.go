package middleware

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// suspects remembers which keys were denied a moment ago, so that they are asked first
// where a request has several. It is a table of fixed size: what falls out of it, or
// collides, costs an order of questions and nothing else.
type suspects struct {
	seed  maphash.Seed
	start time.Time
	slots [1024]atomic.Uint64 // the upper bits of the key's hash, and when
}

const (
	suspectTick = 100 * time.Millisecond
	suspectMask = 1<<20 - 1 // ticks of a day
	suspectFor  = 100       // ticks: longer than a node of a cluster remembers a denial
)

func (s *suspects) init() { s.seed, s.start = maphash.MakeSeed(), time.Now() }

func (s *suspects) tick() uint64 { return uint64(time.Since(s.start)/suspectTick) & suspectMask }

// add notes that a key was denied.
func (s *suspects) add(key string) {
	h := maphash.String(s.seed, key) | 1<<63 // an empty slot is nobody's
	s.slots[h%uint64(len(s.slots))].Store(h&^suspectMask | s.tick())
}

// has reports whether a key was denied a moment ago.
func (s *suspects) has(key string) bool {
	h := maphash.String(s.seed, key) | 1<<63
	v := s.slots[h%uint64(len(s.slots))].Load()
	return (v^h)&^suspectMask == 0 && (s.tick()-v)&suspectMask < suspectFor
}
