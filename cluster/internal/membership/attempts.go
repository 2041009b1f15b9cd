package membership

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Attempts is when to try which address again. Each has a back-off of its own: however
// many dead ones there are, no living one waits for them. The zero value is ready, and
// safe for concurrent use.
type Attempts struct {
	mu   sync.Mutex
	of   map[string]*attempt
	busy int // of those under way
}

type attempt struct {
	fails int
	next  time.Duration // age at which it is due
	busy  bool
}

// Pauses are the first and the longest between two attempts at one address.
type Pauses struct{ First, Most time.Duration }

// LostPauses are those of the addresses at which members were.
var LostPauses = Pauses{3 * time.Second, 30 * time.Second}

// SeedPauses are those of seeds: shorter for a node that is alone, which decides by itself
// meanwhile.
func SeedPauses(alone bool) Pauses {
	if alone {
		return Pauses{aloneEvery, 2 * aloneEvery}
	}
	return Pauses{3 * time.Second, 6 * time.Second}
}

const (
	aloneEvery   = 500 * time.Millisecond
	lookEvery    = 3 * time.Second
	attemptsMost = 64              // at a time, before those at lost addresses wait
	attemptsMax  = 8 * VanishedMax // remembered
)

// LookIn is how long until the next look at who is missing; hurry says that somebody is.
func LookIn(hurry bool) time.Duration {
	every := lookEvery
	if hurry {
		every = aloneEvery
	}
	return every + rand.N(every)
}

// Begin says whether an address is due, and marks it as being tried.
func (a *Attempts) Begin(addr string, age time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.of[addr]
	if x == nil {
		if a.of == nil {
			a.of = map[string]*attempt{}
		}
		if len(a.of) >= attemptsMax {
			a.pruneLocked(age)
		}
		x = &attempt{}
		a.of[addr] = x
	}
	if x.busy || age < x.next {
		return false
	}
	x.busy = true
	a.busy++
	return true
}

// End notes how an attempt went.
func (a *Attempts) End(addr string, age time.Duration, err error, p Pauses) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.of[addr]
	x.busy = false
	a.busy--
	if err == nil {
		x.fails = 0
	}
	pause := min(p.First<<min(x.fails, 10), p.Most)
	if err != nil {
		x.fails++
	}
	x.next = age + pause/2
	if pause > 1 {
		x.next += rand.N(pause / 2)
	}
}

// Crowded says whether so many are under way that more must wait.
func (a *Attempts) Crowded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.busy >= attemptsMost
}

// pruneLocked forgets addresses that have not been tried for long: nobody asks for them.
func (a *Attempts) pruneLocked(age time.Duration) {
	for addr, x := range a.of {
		if !x.busy && age > x.next {
			delete(a.of, addr)
		}
	}
}
