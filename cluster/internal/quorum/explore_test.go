package quorum

import (
	"encoding/binary"
	"flag"
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var walks = flag.Int("weir.walks", 20000, "random walks of five voters")
var wide = flag.Bool("weir.wide", false, "explore with more claims and restarts: minutes")

func list(t testing.TB, n int) List {
	var names []string
	for i := range n {
		names = append(names, name(i))
	}
	l, err := NewList(names)
	require.NoError(t, err)
	return l
}

func lists(l ...List) (all [procsMax]List) {
	copy(all[:], l)
	for i := len(l); i < len(all); i++ {
		all[i] = l[len(l)-1]
	}
	return all
}

// key is the state, small. Equal keys of different states are as good as impossible.
func (w *world) key(seed [2]maphash.Seed) (k [2]uint64) {
	for i := range k {
		var h maphash.Hash
		h.SetSeed(seed[i])
		add := func(x uint64) {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], x)
			h.Write(b[:])
		}
		for _, p := range w.procs {
			if p == nil {
				break
			}
			if p.hash[i] == 0 {
				plain := *p
				plain.hash = [2]uint64{}
				p.hash[i] = maphash.Comparable(seed[i], plain)
			}
			add(p.hash[i])
		}
		for _, m := range w.messages {
			if m.hash[i] == 0 {
				plain := *m
				plain.hash = [2]uint64{}
				m.hash[i] = maphash.Comparable(seed[i], plain)
			}
			add(m.hash[i])
		}
		add(uint64(w.answered)<<24 | uint64(w.claims)<<16 | uint64(w.takes)<<8 | uint64(w.restarts))
		k[i] = h.Sum64()
	}
	return k
}

// explore goes through all states up to a depth, the near ones first, until the budget
// is broken.
func (e *explorer) explore(most int) (states, depth int, broken bool) {
	seed := [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	seen := map[[2]uint64]struct{}{}
	edge := []world{newWorld(&e.b)}
	for ; len(edge) > 0; depth++ {
		var further []world
		for i := range edge {
			e.events(&edge[i], func(x event) {
				w := e.after(&edge[i], x)
				if broken = broken || w.answered > 1; broken || len(w.messages) > e.b.messages || len(seen) >= most {
					return
				}
				if k := w.key(seed); !has(seen, k) {
					seen[k] = struct{}{}
					further = append(further, w)
				}
			})
			if broken {
				return len(seen), depth, true
			}
		}
		if len(seen) >= most {
			break
		}
		edge = further
	}
	return len(seen), depth, false
}

func has(seen map[[2]uint64]struct{}, k [2]uint64) bool { _, ok := seen[k]; return ok }

// walk goes through states at random, and says whether the budget was broken. Now and
// then other links are cut; what is on them waits.
func (e *explorer) walk(r *rand.Rand, steps int) bool {
	w, cut := newWorld(&e.b), uint64(0)
	for i := range steps {
		if i%8 == 0 {
			cut = r.Uint64() & r.Uint64()
		}
		var chosen event
		sum := 0
		e.events(&w, func(x event) {
			weight := 4
			switch x.what {
			case delivers:
				if m := w.messages[x.at]; cut>>(m.from*procsMax+m.to)&1 != 0 {
					return
				}
				weight = 12
			case givesBack, startsAnew:
				weight = 1
			}
			if sum += weight; r.IntN(sum) < weight {
				chosen = x
			}
		})
		if sum == 0 {
			continue
		}
		if w = e.after(&w, chosen); w.answered > 1 {
			return true
		}
	}
	return false
}

// What is explored: three voters, also with a process that decides and does not vote, and
// with lists that differ by a name. In 20 seconds or so; wide is for minutes.
func TestExplore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	three, four := list(t, 3), list(t, 4)
	most := 150_000
	if *wide {
		most = 10_000_000
	}
	for _, c := range []struct {
		what string
		b    bounds
	}{
		{"three voters", bounds{procs: 3, lists: lists(three), claims: 2, takes: 2, messages: 6}},
		{"one starts anew", bounds{procs: 3, lists: lists(three), claims: 2, takes: 2, restarts: 1, messages: 5}},
		{"and one that does not vote", bounds{procs: 4, lists: lists(three), claims: 2, takes: 2, messages: 5}},
		{"the list grows", bounds{procs: 4, lists: lists(three, three, four), claims: 2, takes: 2, messages: 5}},
	} {
		t.Run(c.what, func(t *testing.T) {
			e := explorer{b: c.b}
			start := time.Now()
			states, depth, broken := e.explore(most)
			t.Logf("%d states, depth %d, %v", states, depth, time.Since(start).Round(time.Millisecond))
			assert.False(t, broken)
		})
	}
}

// Five voters and one that is none, at random: also two that start anew at once.
func TestWalkFive(t *testing.T) {
	five := list(t, 5)
	e := explorer{b: bounds{procs: 6, lists: lists(five), claims: 4, takes: 4, restarts: 2, messages: 100}}
	start := time.Now()
	for seed := range *walks {
		require.False(t, e.walk(rand.New(rand.NewPCG(uint64(seed), 5)), 120), "seed %d", seed)
	}
	t.Logf("%d walks, %v", *walks, time.Since(start).Round(time.Millisecond))
}

// Each rule is needed: without it the explorer finds the budget broken.
func TestEachRuleIsNeeded(t *testing.T) {
	three, five := list(t, 3), list(t, 5)
	small := bounds{procs: 3, lists: lists(three), claims: 2, takes: 2, messages: 100}
	anew := bounds{procs: 3, lists: lists(three), claims: 2, takes: 2, restarts: 1, messages: 100}
	guest := bounds{procs: 4, lists: lists(three), claims: 2, takes: 2, restarts: 1, messages: 100}
	for _, c := range []struct {
		broken string
		r      rules
		b      bounds
	}{
		{"a voter grants a lower ballot", rules{grantAny: true}, small},
		{"a voter acknowledges under a lower ballot", rules{acceptAny: true}, small},
		{"a grant comes without slots", rules{grantEmpty: true}, small},
		{"a claim needs no majority", rules{fewGrants: true}, small},
		{"a take needs no majority", rules{fewAcks: true}, small},
		{"a voter that starts anew votes", rules{voteFresh: true}, anew},
		{"it recovers from too few", rules{recoverEarly: true}, anew},
		{"it recovers without what was promised", rules{recoverBlank: true}, anew},
		{"votes of a replaced process count", rules{countReplaced: true}, guest},
		{"lists meet that differ by two", rules{meetAll: true},
			bounds{procs: 5, lists: lists(three, three, three, five), claims: 2, takes: 2, messages: 100}},
	} {
		t.Run(c.broken, func(t *testing.T) {
			e, start := explorer{b: c.b, r: c.r}, time.Now()
			for seed := range 2_000_000 {
				if e.walk(rand.New(rand.NewPCG(uint64(seed), 7)), 60) {
					t.Logf("found by walk %d, %v", seed, time.Since(start).Round(time.Millisecond))
					return
				}
				if time.Since(start) > time.Minute {
					t.Fatalf("not found in %d", seed)
				}
			}
		})
	}
}
