package membership

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
)

// town is a cluster of which only the members exist: who reaches whom, who tells what.
type town struct {
	r     *rand.Rand
	hash  maphash.Seed
	age   time.Duration
	hosts []*host
	log   []string
	next  ledger.Origin
}

type host struct {
	m    *Members
	p    Process
	up   bool
	side int
	left bool
	cut  map[string]cutOff // whom it does not reach
}

// cutOff is since when a host does not reach another, and when gossip will say that it is gone.
type cutOff struct{ since, lost time.Duration }

const tick = 200 * time.Millisecond

func (w *town) note(what string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%v "+what, append([]any{w.age}, args...)...))
}

// start starts a host, on a side, under a name that may have been there before.
func (w *town) start(name string, side int) *host {
	w.next++
	x := &host{p: proc(name, w.next), up: true, side: side, cut: map[string]cutOff{}}
	x.m = New(x.p, forget, 0)
	for _, y := range w.hosts {
		if y.up && y.side == side && y != x {
			w.meet(x, y)
			w.meet(y, x)
			break
		}
	}
	x.m.Started()
	i := slices.IndexFunc(w.hosts, func(y *host) bool { return y.p.Name == name })
	if i < 0 {
		w.hosts = append(w.hosts, x)
	} else {
		w.hosts[i] = x
	}
	w.note("%v starts on side %d", x.p, side)
	return x
}

// meet lets x hear what y knows: whom gossip takes for alive, and its roster.
func (w *town) meet(x, y *host) {
	x.m.Alive(y.p, y.p.Name, false, w.age)
	for _, z := range y.m.Snapshot(w.age).Members {
		if z.Live && z.Name != x.p.Name && x.m.Get(z.Name) == nil {
			x.m.Alive(z.Process, z.Addr, z.Leaving, w.age)
		}
	}
	x.m.Learn(y.m.Roster(w.age), w.age)
}

func (x *host) table(w *town) uint64 {
	live := x.p.Name
	for _, y := range x.m.Snapshot(w.age).Members {
		if y.Live && !y.Leaving {
			live += " " + y.Name
		}
	}
	names := strings.Fields(live)
	slices.Sort(names)
	return maphash.String(w.hash, strings.Join(names, " "))
}

// pass lets time pass: who reaches whom meets now and then, and tells what is due; who does
// not is silent after SilentAfter,
// and lost after 2 to 9 s.
func (w *town) pass(d time.Duration, check func()) {
	for end := w.age + d; w.age < end; w.age += tick {
		for _, x := range w.hosts {
			for _, y := range w.hosts {
				if x.up && x != y {
					w.link(x, y)
				}
			}
			if x.up && x.m.Snapshot(w.age).Over() {
				x.m.NoGuests(w.age)
			}
		}
		check()
	}
}

func (w *town) link(x, y *host) {
	known := x.m.Knows(y.p)
	switch c := x.cut[y.p.Name]; {
	case y.up && x.side == y.side:
		delete(x.cut, y.p.Name)
		x.m.Heard(y.p, w.age)
		if w.r.IntN(20) == 0 || !known && w.r.IntN(4) == 0 {
			w.meet(x, y)
		}
		if f := y.table(w); known && y.m.Knows(x.p) && x.table(w) == f && w.r.IntN(3) == 0 {
			x.m.CaughtUp(y.p, f)
		}
	case !known:
	case c.lost == 0:
		x.cut[y.p.Name] = cutOff{w.age, w.age + time.Duration(2+w.r.IntN(8))*time.Second}
	case w.age >= c.lost:
		x.m.Lose(x.m.Get(y.p.Name), w.age)
	case w.age >= c.since+SilentAfter:
		x.m.Silent(y.p)
	}
}

// noticed says whether each host that lives sees just those that it reaches.
func (w *town) noticed() bool {
	for _, x := range w.hosts {
		for _, y := range w.hosts {
			if z := x.m.Get(y.p.Name); x.up && x != y {
				hears := z != nil && z.Live && !z.Silent && z.Process == y.p
				if hears != (y.up && y.side == x.side) {
					return false
				}
			}
		}
	}
	return true
}

// sum is what all sides together may admit, of one limit, and how many are majorities.
func (w *town) sum() (all float64, majorities int) {
	type best struct{ share, most float64 }
	sides := map[int]best{}
	for _, x := range w.hosts {
		if !x.up {
			continue
		}
		s := x.m.Snapshot(w.age).Sets(x.table(w)).Size()
		b := sides[x.side]
		b.share = max(b.share, min(1, float64(s.With)/float64(s.Base)))
		if 2*s.With > s.Base {
			b.most = 1
		}
		sides[x.side] = b
	}
	for _, b := range sides {
		all += b.share
		majorities += int(b.most)
	}
	return all, majorities
}

// Whatever happens on the sides of a split that all have noticed, the sides together never
// admit more than one limit, and at most one is a majority. When it has healed, all count.
func TestSidesOfASplit(t *testing.T) {
	for seed := range uint64(40) {
		w := &town{r: rand.New(rand.NewPCG(seed, 3)), hash: maphash.MakeSeed(), age: noon}
		for i := range 3 + w.r.IntN(4) {
			w.start(fmt.Sprint("n", i), 0)
		}
		w.pass(5*time.Second, func() {})
		for range 3 {
			w.split(t, seed)
		}
	}
}

// split cuts the town, lets things happen on its sides, and heals it.
func (w *town) split(t *testing.T, seed uint64) {
	for _, x := range w.hosts {
		x.side = w.r.IntN(2 + w.r.IntN(2))
		w.note("%s is on side %d", x.p.Name, x.side)
	}
	w.pass(SilentAfter+3*tick, func() {})
	require.True(t, w.noticed())
	for range 4 {
		w.happen()
		w.pass(10*time.Second, func() {
			if all, majorities := w.sum(); w.noticed() {
				require.LessOrEqual(t, all, 1.000001, "seed %d at %v\n%s", seed, w.age, strings.Join(w.log, "\n"))
				require.LessOrEqual(t, majorities, 1, "seed %d at %v\n%s", seed, w.age, strings.Join(w.log, "\n"))
			}
		})
	}
	w.note("heals")
	for _, x := range w.hosts {
		x.side = 0
	}
	w.pass(10*time.Second, func() {})
	for _, x := range w.hosts {
		if !x.up && !x.left {
			w.start(x.p.Name, 0)
		}
	}
	w.pass(20*time.Second, func() {}) // who left where nobody heard it is forgotten by then
	w.hosts = slices.DeleteFunc(w.hosts, func(x *host) bool { return x.left })
	for _, x := range w.hosts {
		s := x.m.Snapshot(w.age).Sets(x.table(w)).Size()
		require.Equal(t, Size{len(w.hosts), len(w.hosts)}, s, "seed %d, %v at %v\n%s", seed, x.p, w.age, strings.Join(w.log, "\n"))
	}
}

// happen lets one thing happen on one side. Nobody starts where nobody is: who is alone from
// the start cannot know of the others.
func (w *town) happen() {
	x := w.hosts[w.r.IntN(len(w.hosts))]
	company := slices.ContainsFunc(w.hosts, func(y *host) bool { return y.up && y.side == x.side })
	stay := 0
	for _, y := range w.hosts {
		if !y.left {
			stay++
		}
	}
	switch k := w.r.IntN(5); {
	case k == 0 && x.up:
		x.up = false
		w.note("%v crashes", x.p)
	case k == 1 && !x.up && !x.left && company:
		w.start(x.p.Name, x.side)
	case k == 2 && x.up && stay > 2:
		x.up, x.left = false, true
		w.note("%v leaves", x.p)
		for _, y := range w.hosts {
			if y.up && y.side == x.side {
				y.m.Goodbye(x.p)
			}
		}
	case k == 3 && len(w.hosts) < 9 && company:
		w.start(fmt.Sprint("g", w.next), x.side)
	}
}
