package cluster

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weir-go/weir/transport"
)

// attempts is when to try which address again. Each has a back-off of its own.
type attempts struct {
	mu   sync.Mutex
	of   map[string]*attempt
	busy int // of those under way
}

type attempt struct {
	fails int
	next  time.Duration // age at which it is due
	busy  bool
}

// pauses are the first and the longest between two attempts at one address.
type pauses struct{ first, most time.Duration }

var lostPauses = pauses{3 * time.Second, 30 * time.Second}

// seedPauses are shorter for a node that is alone: it decides by itself meanwhile.
func seedPauses(alone bool) pauses {
	if alone {
		return pauses{aloneEvery, 2 * aloneEvery}
	}
	return pauses{3 * time.Second, 6 * time.Second}
}

const (
	aloneEvery   = 500 * time.Millisecond
	attemptsMost = 64              // at a time, before those at lost addresses wait
	attemptsMax  = 8 * vanishedMax // remembered
	lostFor      = 6 * time.Hour   // before a lost address is given up
)

// begin says whether an address is due, and marks it as being tried.
func (a *attempts) begin(addr string, age time.Duration) bool {
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

// end notes how an attempt went.
func (a *attempts) end(addr string, age time.Duration, err error, p pauses) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.of[addr]
	x.busy = false
	a.busy--
	if err == nil {
		x.fails = 0
	}
	pause := min(p.first<<min(x.fails, 10), p.most)
	if err != nil {
		x.fails++
	}
	x.next = age + pause/2
	if pause > 1 {
		x.next += rand.N(pause / 2)
	}
}

// crowded says whether so many are under way that more must wait.
func (a *attempts) crowded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.busy >= attemptsMost
}

// pruneLocked forgets addresses that have not been tried for long: nobody asks for them.
func (a *attempts) pruneLocked(age time.Duration) {
	for addr, x := range a.of {
		if !x.busy && age > x.next {
			delete(a.of, addr)
		}
	}
}

// lookIn is how long until the next look at who is missing.
func (n *Node) lookIn() time.Duration {
	every := 3 * time.Second
	if _, missing := n.members.addresses(n.clock.age()); len(missing) > 0 || len(n.view.Load().all) == 0 && len(n.cfg.Join) > 0 {
		every = aloneEvery
	}
	return every + rand.N(every)
}

// refusal is why the other side refuses this one, if it does; else empty.
func refusal(err error) string {
	if r, ok := errors.AsType[*transport.RefusedError](err); ok {
		return r.Reason
	}
	if errors.Is(err, transport.ErrProof) || errors.Is(err, transport.ErrProtocol) {
		return err.Error()
	}
	return ""
}
