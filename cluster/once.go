package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A take carries one number of the process that asks, however many nodes it reaches and
// however often. Whoever has counted that number does not count it again.

// fate is what a process knows of a number.
type fate uint64

const (
	uncounted fate = iota
	once           // it has counted it, and told one node so
	oftener        // and others: only the asker can know whom they are to believe
	undone         // the asker has taken it back: it is never counted again
)

const (
	countedBits = 2
	perWord     = 64 / countedBits
	tallyMin    = 64      // words of a tally: 2,048 numbers
	tallyMost   = 1 << 18 // and at most: 8 million numbers
	talliesMost = 1 << 21 // words of all tallies, 16 MB
	askersMax   = 1024
	numberLife  = 10 * time.Second // how long a request can live, with what undoes it
)

// tally is what this process has counted of one asker's latest numbers: two bits for each,
// in a ring that grows with the asker's rate until it spans numberLife. Who counts holds
// mu while it decides, so that of two copies of a request one sees what became of the other.
type tally struct {
	mu     sync.Mutex
	ring   []uint64
	top    uint64        // the highest number so far
	mark   uint64        // what that was a while ago,
	markAt time.Duration // at this age
	usedAt atomic.Int64
}

func (t *tally) span() uint64 { return uint64(len(t.ring)) * perWord }

// at is what is known of a number. Of one that is too old nothing is.
func (t *tally) at(number uint64) fate {
	if number > t.top || t.top-number >= t.span() {
		return uncounted
	}
	word, shift := t.place(number)
	return fate(*word >> shift & 3)
}

func (t *tally) place(number uint64) (word *uint64, shift uint64) {
	i := number & (t.span() - 1)
	return &t.ring[i/perWord], i % perWord * countedBits
}

// set notes something of a number at an age of this process. more says whether the ring
// may grow by so many words.
func (t *tally) set(number uint64, f fate, age time.Duration, more func(words int64) bool) {
	if number > t.top {
		t.advance(number)
		if number-t.mark >= t.span()/2 {
			if age-t.markAt < numberLife/2 && len(t.ring) < tallyMost && more(int64(len(t.ring))) {
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

// advance makes room for the numbers up to top.
func (t *tally) advance(top uint64) {
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

func (t *tally) grow() {
	old := tally{ring: t.ring, top: t.top}
	t.ring = make([]uint64, 2*len(old.ring))
	for k := range min(old.span(), old.top+1) {
		word, shift := t.place(old.top - k)
		*word |= uint64(old.at(old.top-k)) << shift
	}
}

// tallies is a tally for each process that asks.
type tallies struct {
	mu    sync.RWMutex
	by    map[ledger.Origin]*tally
	words atomic.Int64
}

// more reserves words for a tally that grows.
func (s *tallies) more(words int64) bool {
	if s.words.Add(words) <= talliesMost {
		return true
	}
	s.words.Add(-words)
	return false
}

// of is the tally of an asker, who is one of those that asked last.
func (s *tallies) of(o ledger.Origin, age time.Duration) *tally {
	s.mu.RLock()
	t := s.by[o]
	s.mu.RUnlock()
	if t == nil {
		t = s.add(o)
	}
	t.usedAt.Store(int64(age))
	return t
}

func (s *tallies) add(o ledger.Origin) *tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.by[o]; t != nil {
		return t
	}
	if len(s.by) >= askersMax {
		var idle ledger.Origin
		var since *tally
		for o, t := range s.by {
			if since == nil || t.usedAt.Load() < since.usedAt.Load() {
				idle, since = o, t
			}
		}
		s.words.Add(-int64(len(since.ring)))
		delete(s.by, idle)
	}
	t := &tally{ring: make([]uint64, tallyMin)}
	s.words.Add(tallyMin)
	s.by[o] = t
	return t
}

// takeOnce is takeHeld for a request that may have been counted here before: then it is
// admitted, and not counted.
func (n *Node) takeOnce(v *view, age time.Duration, c *takeCall) (d limiter.Decision, ok bool) {
	if c.Number == 0 {
		return n.takeHeld(v, age, c.ID, &c.Limit, c.Cost, c.Trial)
	}
	t := c.tally
	t.mu.Lock()
	if t.at(c.Number) != uncounted {
		d, ok = n.again(v, age, c), true
	} else if d, ok = n.takeHeld(v, age, c.ID, &c.Limit, c.Cost, c.Trial); ok && d.Allowed {
		n.note(c, age, d.Window)
	}
	t.mu.Unlock()
	return d, ok
}

// note notes that a request was counted. The caller has its tally's lock.
func (n *Node) note(c *takeCall, age time.Duration, w limiter.Window) {
	c.tally.set(c.Number, once, age, n.tallies.more)
	if c.Window = w; w == 0 {
		c.Window = n.window(c.ID, &c.Limit, age, false)
	}
}

// again answers a request that was counted before. The caller has its tally's lock.
func (n *Node) again(v *view, age time.Duration, c *takeCall) limiter.Decision {
	if c.tally.at(c.Number) == undone {
		return limiter.Decision{RetryAfter: time.Second} // nobody waits for it
	}
	c.tally.set(c.Number, oftener, age, n.tallies.more)
	c.Window = 0 // not known any more
	d, _ := n.takeHeld(v, age, c.ID, &c.Limit, 0, false)
	d.Allowed, d.RetryAfter = true, 0
	return d
}

// forget takes back what was counted of a request, once: in this process's own slot, in
// the window in which it was. asker says that the one who asks for it is the one who
// knows that nobody relies on it.
func (n *Node) forget(u *wire.Undone, asker bool) bool {
	age := n.clock.age()
	t := n.tallies.of(u.Asker, age)
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.at(u.Number)
	if was == undone || was == oftener && !asker {
		return false
	}
	next := uncounted
	if asker {
		next = undone
	}
	t.set(u.Number, next, age, n.tallies.more)
	if was == uncounted {
		return false
	}
	n.ledger.Refund(u.ID, budget(&u.Limit), u.Cost, n.clock.Own(age), u.Window)
	if u.Window.Noted() {
		n.holds.End(u.ID, u.Cost)
	}
	return true
}
