package tenure

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var explore = flag.Duration("tenure.explore", 20*time.Second, "how long TestExplore explores; all of a depth or nothing")

// calm lets all messages flow, and says what is wrong if not the owner, and nobody else,
// decides in the end.
func (w *world) calm() string {
	w = w.clone()
	w.left = budget{}
	w.wild = true // what could be lost was lost before
	var did []string
	for asked := 0; asked < 60 && len(did) < 1000; {
		all := w.moves()
		if len(all) == 0 {
			break
		}
		// Nobody asks again before all else has happened.
		i := slices.IndexFunc(all, func(x move) bool { return !strings.HasSuffix(x.name, "asks again") })
		if i < 0 {
			i = asked % len(all)
			asked++
		}
		did = append(did, all[i].name)
		all[i].do(w)
		w.tidy()
	}
	owner := -1
	for i := range procs {
		if w.procs[i].life == alive && (owner < 0 || w.procs[i].name > w.procs[owner].name) {
			owner = i
		}
	}
	for i := range procs {
		if l, s := w.procs[i].life, w.procs[i].part.state; l == alive && (s == Holding) != (i == owner) {
			w.fail("in the end %d is %v, of %+v after\n%v", i, s, w.procs, strings.Join(did[:min(len(did), 40)], "\n"))
		}
	}
	return w.wrong
}

// found is what an exploration came to.
type found struct {
	states, calmed int
	depth          int // to which all was explored
	wrong          string
	path           []string
}

// node is a world, and how it came about.
type node struct {
	w      *world
	parent *node
	move   string
}

func (n *node) path() (path []string) {
	for ; n.parent != nil; n = n.parent {
		path = append([]string{n.move}, path...)
	}
	return path
}

// explore goes through all worlds that may follow, in the order of their depth, until end or
// until something is wrong.
func exploreFrom(w *world, end time.Time, most int) (f found) {
	frontier, known := []*node{{w: w}}, map[uint64]bool{w.key(): true}
	for depth := 1; len(frontier) > 0; depth++ {
		var next []*node
		for _, n := range frontier {
			if f.states++; f.states%1024 == 0 && (time.Now().After(end) || f.states > most) {
				return f
			}
			if f.states%8 == 0 {
				f.calmed++
				if wrong := n.w.calm(); wrong != "" {
					f.wrong, f.path = wrong, n.path()
					return f
				}
			}
			for _, x := range n.w.moves() {
				c := n.w.clone()
				x.do(c)
				c.tidy()
				child := &node{c, n, x.name}
				if c.wrong != "" {
					f.wrong, f.path = c.wrong, child.path()
					return f
				}
				if k := c.key(); !known[k] {
					known[k] = true
					next = append(next, child)
				}
			}
			n.w = nil // only the way here is needed
		}
		f.depth, frontier = depth, next
	}
	return f
}

// beginning is a world from which to explore.
type beginning struct {
	name string
	w    *world
}

// beginnings are worlds from which to explore, and what may happen there.
func beginnings(broken rule) []beginning {
	fresh := func(b budget) *world {
		w := &world{left: b}
		for i := range w.procs {
			w.procs[i].part.broken = broken
		}
		w.begin(0, 0)
		return w
	}
	formed := fresh(budget{joins: 2})
	for range 2 {
		for _, x := range formed.moves() {
			if strings.Contains(x.name, "joins") {
				x.do(formed)
				break
			}
		}
		formed = formed.settled()
	}
	with := func(b budget) *world {
		w := formed.clone()
		w.left = b
		return w
	}
	return []beginning{
		{"two join", fresh(budget{joins: 2, losses: 2, repeats: 2, timeouts: 1})},
		{"two join, a crash", fresh(budget{joins: 2, crashes: 1, restarts: 1, timeouts: 1, losses: 1})},
		{"leave and crash", with(budget{leaves: 2, crashes: 1, repeats: 1, timeouts: 1})},
		{"crash and restart", with(budget{crashes: 2, restarts: 2, losses: 1, timeouts: 1})},
		{"doubt and leave", with(budget{doubts: 2, leaves: 1, crashes: 1, timeouts: 1, repeats: 1})},
		{"taken for gone", with(budget{suspects: 2, crashes: 1, timeouts: 1, repeats: 1, doubts: 1})},
		{"nothing is heard", with(budget{leaves: 1, restarts: 1, expires: 1, repeats: 1, losses: 1, suspects: 1})},
	}
}

// settled is a world when all has happened that may without another fault.
func (w *world) settled() *world {
	w = w.clone()
	b := w.left
	w.left = budget{}
	for range 400 {
		all := w.moves()
		if len(all) == 0 {
			break
		}
		all[0].do(w)
		w.tidy()
	}
	w.left = b
	return w
}

func TestExplore(t *testing.T) {
	worlds := beginnings(0)
	each := *explore / time.Duration(len(worlds))
	for _, b := range worlds {
		t.Run(b.name, func(t *testing.T) {
			began := time.Now()
			f := exploreFrom(b.w, began.Add(each), 1<<62)
			t.Logf("%d states, all to depth %d, %d of them calmed, %v", f.states, f.depth, f.calmed, time.Since(began).Round(time.Millisecond))
			require.Empty(t, f.wrong, "after:\n%s", strings.Join(f.path, "\n"))
			require.Greater(t, f.states, 1000)
		})
	}
}
