// Package tally is what a process has counted of other processes' requests. A request has
// one number of the process that asks, however many nodes it reaches and however often;
// whoever has counted that number does not count it again. It is a ring of two bits for
// each number, per asker, and knows nothing of what a request asks for.
package tally

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// Fate is what a process knows of a number.
type Fate uint64

// The fates.
const (
	Uncounted Fate = iota
	Once           // it has counted it, and told one node so
	Oftener        // and others: only the asker can know whom they are to believe
	Undone         // the asker has taken it back: it is never counted again
)

const (
	countedBits = 2
	perWord     = 64 / countedBits
	ringMin     = 64      // words of a tally: 2,048 numbers
	ringMost    = 1 << 18 // and at most: 8 million numbers
	wordsMost   = 1 << 21 // words of all tallies, 16 MB
	askersMax   = 1024
	windowsMax  = 1024             // of an asker, for requests that were passed on
	numberLife  = 10 * time.Second // how long a request can live, with what undoes it
)

// Tally is what this process has counted of one asker's latest numbers: two bits for each,
// in a ring that grows with the asker's rate until it spans numberLife. Who counts locks it
// while it decides, so that of two copies of a request one sees what became of the other.
type Tally struct {
	sync.Mutex // for its users
	all        *Tallies
	ring       []uint64
	top        uint64        // the highest number so far
	mark       uint64        // what that was a while ago,
	markAt     time.Duration // at this age
	usedAt     atomic.Int64
	windows    map[uint64]ledger.Window // of numbers that came by others
}

func (t *Tally) span() uint64 { return uint64(len(t.ring)) * perWord }

// At is what is known of a number. Of one that is too old nothing is.
func (t *Tally) At(number uint64) Fate {
	if number > t.top || t.top-number >= t.span() {
		return Uncounted
	}
	word, shift := t.place(number)
	return Fate(*word >> shift & 3)
}

func (t *Tally) place(number uint64) (word *uint64, shift uint64) {
	i := number & (t.span() - 1)
	return &t.ring[i/perWord], i % perWord * countedBits
}

// Set notes something of a number at an age of this process.
func (t *Tally) Set(number uint64, f Fate, age time.Duration) {
	if number > t.top {
		t.advance(number)
		if number-t.mark >= t.span()/2 {
			if age-t.markAt < numberLife/2 && len(t.ring) < ringMost && t.all.more(int64(len(t.ring))) {
				t.grow()
			}
			t.mark, t.markAt = number, age
		}
	}
	if t.top-number >= t.span() {
		return
	}
	word, shift := t.place(number)
	*word = *word&^(3<<shift) | uint64(f)<<shift
}

// SetWindow notes in which window a number was counted that came by another node than its
// asker: that one may have asked this process as well, and is told by Window what to take back.
// Directly, the answer has told it.
func (t *Tally) SetWindow(number uint64, w ledger.Window) {
	if t.windows == nil || len(t.windows) >= windowsMax {
		t.windows = map[uint64]ledger.Window{}
	}
	t.windows[number] = w
}

// Window is what SetWindow noted, or 0.
func (t *Tally) Window(number uint64) ledger.Window { return t.windows[number] }

// advance makes room for the numbers up to top.
func (t *Tally) advance(top uint64) {
	if top-t.top >= t.span() {
		clear(t.ring)
	} else {
		for number := t.top + 1; number <= top; number++ {
			word, shift := t.place(number)
			*word &^= 3 << shift
		}
	}
	t.top = top
}

func (t *Tally) grow() {
	old := Tally{ring: t.ring, top: t.top}
	t.ring = make([]uint64, 2*len(old.ring))
	for k := range min(old.span(), old.top+1) {
		word, shift := t.place(old.top - k)
		*word |= uint64(old.At(old.top-k)) << shift
	}
}

// Tallies is a tally for each process that asks. It is safe for
// concurrent use.
type Tallies struct {
	mu    sync.RWMutex
	by    map[ledger.Origin]*Tally
	words atomic.Int64
}

// New makes an empty one.
func New() *Tallies { return &Tallies{by: map[ledger.Origin]*Tally{}} }

// more reserves words for a tally that grows.
func (s *Tallies) more(words int64) bool {
	if s.words.Add(words) <= wordsMost {
		return true
	}
	s.words.Add(-words)
	return false
}

// Of is the tally of an asker, who is one of those that asked last.
func (s *Tallies) Of(o ledger.Origin, age time.Duration) *Tally {
	s.mu.RLock()
	t := s.by[o]
	s.mu.RUnlock()
	if t == nil {
		t = s.add(o)
	}
	t.usedAt.Store(int64(age))
	return t
}

func (s *Tallies) add(o ledger.Origin) *Tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.by[o]; t != nil {
		return t
	}
	if len(s.by) >= askersMax {
		var idle ledger.Origin
		var since *Tally
		for o, t := range s.by {
			if since == nil || t.usedAt.Load() < since.usedAt.Load() {
				idle, since = o, t
			}
		}
		s.words.Add(-int64(len(since.ring)))
		delete(s.by, idle)
	}
	t := &Tally{all: s, ring: make([]uint64, ringMin)}
	s.words.Add(ringMin)
	s.by[o] = t
	return t
}
