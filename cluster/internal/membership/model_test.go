package membership

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
)

// witness hears all that a Members hears, and notes only what it may conclude from it.
type witness struct {
	m      *Members
	r      *rand.Rand
	age    time.Duration
	log    []string
	lostAt map[string]time.Duration // when a node was taken for gone last
	backAt map[string]time.Duration // and when it came after that
	told   map[Process]bool         // who has caught up since it came
	silent map[Process]bool
	was    Sets
}

const someNames = "abcdef"

func newWitness(seed uint64) *witness {
	r := rand.New(rand.NewPCG(seed, 7))
	return &witness{m: New(proc("self", 5), forget, 0), r: r, age: time.Second,
		lostAt: map[string]time.Duration{}, backAt: map[string]time.Duration{}, told: map[Process]bool{}, silent: map[Process]bool{}}
}

func (w *witness) someone() Process {
	i := w.r.IntN(len(someNames))
	return proc(someNames[i:i+1], ledger.Origin(1+w.r.IntN(4)))
}

// addr is one of few: nodes come where others were.
func (w *witness) addr() string { return fmt.Sprintf("10.0.0.%d:1", w.r.IntN(4)) }

// step lets something happen. It returns the process that it was about, if any, and whether
// one may be gone for good by it.
func (w *witness) step() (about *Process, gone bool) {
	p := w.someone()
	at := "10.0.0." + p.Name + ":1"
	if w.r.IntN(8) == 0 {
		at = w.addr()
	}
	note := func(what string, args ...any) { w.log = append(w.log, fmt.Sprintf("%v %s %v", w.age, what, args)) }
	switch k := w.r.IntN(14); k {
	case 0, 1, 2:
		leaving := w.r.IntN(6) == 0
		note("alive", p, at, leaving, w.m.Alive(p, at, leaving, w.age))
		return &p, leaving
	case 3:
		note("restarted", p, w.m.Restarted(p, at, w.age))
		return &p, false
	case 4: // who answers is who is there, whatever was thought
		note("answered", p, at, w.m.Answered(p, at, w.age))
		return nil, true // who was there before it is gone
	case 5:
		if w.r.IntN(3) == 0 {
			note("goodbye", p, w.m.Goodbye(p))
			return &p, true
		}
		note("doubt", p.Name, w.m.Doubt(p.Name))
	case 6, 7:
		x := w.m.Get(p.Name)
		if x == nil {
			return nil, false
		}
		y := *x
		if w.r.IntN(3) == 0 { // of an earlier process, or from before gossip spoke
			y.Origin = p.Origin
			y.said -= uint32(w.r.IntN(2))
		}
		note("lose", y.Process, w.m.Lose(&y, w.age))
		return &y.Process, true // an answered one's address may be another's now
	case 8:
		e := Entry{Process: p, Addr: at, State: State(w.r.IntN(states)), Gone: time.Duration(w.r.IntN(80)) * time.Second}
		teller := Entry{Process: w.someone()}
		if x := w.m.Get(teller.Name); x != nil {
			teller.Process = x.Process
		}
		note("learn", e, "of", teller.Process, w.m.Learn([]Entry{teller, {Process: proc("self", 5)}, e}, w.age))
		return &p, e.State == Left
	case 9, 10:
		if x := w.m.Get(p.Name); x != nil && x.Live && x.Process == p {
			w.told[p] = true
		}
		note("caught up", p, w.m.CaughtUp(p, table))
		return &p, false
	case 12:
		if x := w.m.Get(p.Name); x != nil && x.Live && x.Process == p {
			w.silent[p] = true
			delete(w.told, p)
		}
		note("silent", p, w.m.Silent(p))
		return &p, false
	case 13:
		if x := w.m.Get(p.Name); w.silent[p] && x != nil && x.Live && x.Process == p {
			delete(w.silent, p)
			w.backAt[p.Name] = w.age
		}
		note("heard", p, w.m.Heard(p, w.age))
		return &p, false
	case 11:
		w.age += time.Duration(w.r.IntN(6)) * HealTime / 4
		if w.r.IntN(10) == 0 {
			w.age += time.Duration(w.r.IntN(70)) * time.Second
		}
		note("time")
		if s := w.m.Snapshot(w.age); s.Over() {
			w.m.NoGuests(w.age)
		}
	}
	return nil, false
}

// observe notes what the step from one member to another means, by the words of the rules.
func (w *witness) observe(was, is map[string]*Member) {
	for name, x := range is {
		old := was[name]
		switch {
		case x.Live && (old == nil || !old.Live || old.Process != x.Process):
			delete(w.told, x.Process)
			delete(w.silent, x.Process)
			if at, ok := w.lostAt[name]; ok && (old == nil || !old.Live && !old.Leaving) && w.age-at < forget {
				w.backAt[name] = w.age
			} else {
				delete(w.backAt, name)
			}
		case !x.Live && (old == nil || old.Live):
			w.lostAt[name] = x.LostAt
			delete(w.backAt, name)
		}
	}
}

// check compares the sets with the rules of the package comment.
func (w *witness) check(t *testing.T, was, is map[string]*Member, gone bool) {
	s := w.m.Snapshot(w.age)
	sets, before := s.Sets(table), s.Before()
	fail := strings.Join(w.log[max(0, len(w.log)-12):], "\n")
	for what, set := range map[string][]string{"with": sets.With, "base": sets.Base, "with before": before.With, "base before": before.Base} {
		require.True(t, slices.IsSorted(set), "%s: %v\n%s", what, set, fail)
		require.Equal(t, len(set), len(slices.Compact(slices.Clone(set))), "%s counts a member twice: %v\n%s", what, set, fail)
	}
	for _, pair := range [][2][]string{{sets.With, sets.Base}, {before.With, before.Base}, {before.With, sets.With}, {before.Base, sets.Base}} {
		for _, name := range pair[0] {
			require.Contains(t, pair[1], name, "a part of the other\n%s", fail)
		}
	}
	waiting := false // for one that came back and has not told what it admitted
	for name, at := range w.backAt {
		x := is[name]
		waiting = waiting || x != nil && x.Live && !x.Leaving && !w.silent[x.Process] && w.age-at < HealTime && !w.told[x.Process]
	}
	for _, name := range sets.With {
		if name == "self" {
			continue
		}
		x := is[name]
		require.True(t, x != nil && x.Live && !x.Leaving && !w.silent[x.Process], "%s counts, and is gone\n%s", name, fail)
		at, back := w.backAt[name]
		require.False(t, waiting && back && w.age-at < HealTime, "%s counts before all have told\n%s", name, fail)
	}
	for _, name := range w.was.Base {
		if slices.Contains(sets.Base, name) {
			continue
		}
		x := is[name]
		forgotten := x == nil || !x.Live && w.age-x.LostAt >= forget
		guest := x != nil && x.Live && x.Guest // it counts for as long as nobody else is waited for
		require.True(t, gone || guest || forgotten, "base lost %s\n%s", name, fail)
	}
	w.was = sets
}

// Whatever happens in whatever order, the rules of the package comment hold.
func TestRulesOfTheSets(t *testing.T) {
	for seed := range uint64(200) {
		w := newWitness(seed)
		for i := range 300 {
			if i == 5 {
				w.m.Started()
			}
			was := members(w.m)
			about, gone := w.step()
			is := members(w.m)
			fail := strings.Join(w.log[max(0, len(w.log)-6):], "\n")
			for name, x := range was { // news of an earlier process changes nothing of a later one, nor of other nodes
				y := is[name]
				if about == nil || name == about.Name && x.Origin <= about.Origin || y == nil && !x.Live && w.age-x.LostAt >= forget {
					continue
				}
				replaced := gone && !x.Live // by who answers at its address
				require.True(t, y != nil && x.Process == y.Process && x.Live == y.Live && (x.Leaving == y.Leaving || replaced),
					"seed %d: %+v is %+v after news of %v\n%s", seed, x, y, *about, fail)
			}
			w.observe(was, is)
			w.check(t, was, is, gone)
		}
	}
}

func members(m *Members) map[string]*Member {
	all := map[string]*Member{}
	for _, x := range m.Snapshot(0).Members {
		if !x.ghost { // that is nobody yet
			all[x.Name] = x
		}
	}
	return all
}
