package ledger

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tableModel is a table and what should be in it.
type tableModel struct {
	t     *testing.T
	table table
	want  map[ref]uint64 // to the version that the entry was given
}

// place finds an entry as a ledger does.
func (m *tableModel) place(r ref) int {
	for i := m.table.first(r.id); i >= 0; i = m.table.after(r.id, i) {
		if m.table.places[i].origin == r.origin {
			return i
		}
	}
	return -1
}

// resize moves what keep wants into a new table for n entries.
func (m *tableModel) resize(n int, keep func(*entry) bool) {
	old := m.table
	m.table = newTable(n)
	m.table.fill(&old, keep)
}

func (m *tableModel) insert(r ref, version uint64) {
	if m.table.full() {
		m.resize(int(m.table.used)+1, func(*entry) bool { return true })
	}
	i := m.table.insert(entry{hi: r.id.Hi, lo: r.id.Lo, origin: r.origin, version: version, expires: 1})
	require.Equal(m.t, version, m.table.places[i].version, "insert returned another place")
	m.want[r] = version
}

// check walks each id and finds exactly its entries, each once.
func (m *tableModel) check(step int) {
	require.Equal(m.t, len(m.want), int(m.table.used), "step %d", step)
	perID, found := map[ID]int{}, 0
	for r, version := range m.want {
		perID[r.id]++
		if i := m.place(r); i < 0 || m.table.places[i].version != version {
			require.Fail(m.t, "an entry is lost", "step %d: %v", step, r)
		}
	}
	for id, n := range perID {
		walked := 0
		for i := m.table.first(id); i >= 0; i = m.table.after(id, i) {
			if walked++; walked > n {
				require.Fail(m.t, "an entry is met twice", "step %d: %v", step, id)
			}
		}
		found += walked
	}
	require.Equal(m.t, int(m.table.used), found, "step %d", step)
	m.checkOrder(step)
}

// checkOrder goes once around: no entry could stand nearer to its home, and those
// of one home are in order. Searches end early because of it.
func (m *tableModel) checkOrder(step int) {
	t := &m.table
	for i := range t.places {
		if t.places[i].expires == 0 || t.distance(i) == 0 {
			continue
		}
		before := (i + len(t.places) - 1) % len(t.places)
		b, e := &t.places[before], &t.places[i]
		require.NotZero(m.t, b.expires, "step %d: a gap before place %d", step, i)
		require.LessOrEqual(m.t, t.distance(i), t.distance(before)+1, "step %d: place %d is another's", step, i)
		if t.home(b.hi) == t.home(e.hi) {
			require.LessOrEqual(m.t, b.hi, e.hi, "step %d: place %d is out of order", step, i)
		}
	}
}

// Ids come from small sets, so that homes collide, ids have several origins, and
// the last places overflow to the first.
func TestTableAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 30 {
		m := &tableModel{t: t, want: map[ref]uint64{}}
		base := []uint64{0, math.MaxUint64 - 40, r.Uint64(), math.MaxUint64 / 2}[r.IntN(4)]
		spread := []uint64{1, 8, math.MaxUint64 / 2}[r.IntN(3)]
		draw := func() ref {
			return ref{ID{Hi: base + r.Uint64N(40)/spread*spread, Lo: r.Uint64N(3)}, uint16(r.IntN(3))}
		}
		for step := range 300 {
			x := draw()
			have := m.place(x)
			_, want := m.want[x]
			require.Equal(t, want, have >= 0, "step %d: %v", step, x)
			switch op := r.IntN(10); {
			case op < 5 && have < 0:
				m.insert(x, r.Uint64())
			case op < 9 && have >= 0:
				m.table.remove(have)
				delete(m.want, x)
			case op == 9: // keep some, in a smaller or a larger table
				keep := func(e *entry) bool { return e.version%8 != 0 }
				n := 0
				for x, v := range m.want {
					if v%8 == 0 {
						delete(m.want, x)
					} else {
						n++
					}
				}
				m.resize(n+r.IntN(20), keep)
			}
			m.check(step)
		}
	}
}

// Ids whose home is the last place continue at the first one.
func TestTableWrapsAround(t *testing.T) {
	m := &tableModel{t: t, want: map[ref]uint64{}}
	for i := range 6 {
		m.insert(ref{ID{Hi: math.MaxUint64, Lo: uint64(i)}, 0}, uint64(i))
	}
	require.Len(t, m.table.places, tableMin)
	require.NotZero(t, m.table.places[0].expires, "nothing wrapped around")
	m.check(0)
	m.table.remove(m.place(ref{ID{Hi: math.MaxUint64, Lo: 0}, 0}))
	delete(m.want, ref{ID{Hi: math.MaxUint64, Lo: 0}, 0})
	m.check(1)
	require.Zero(t, m.table.places[4].expires, "the gap is not closed across the border")
}

func TestTableOfNothing(t *testing.T) {
	var empty table
	require.Equal(t, -1, empty.first(ID{1, 2}))
	require.True(t, empty.full())
	assert.Equal(t, tableMin, capacityFor(1))
}

// Nearly all of a table's memory is in use: the budget per key depends on it.
func TestCapacityIsTight(t *testing.T) {
	for n := 1; n < 20_000; n += 1 + n/10 {
		c := capacityFor(n)
		full := table{places: make([]entry, c), used: int32(n - 1)}
		require.False(t, full.full(), "%d entries do not fit into what is made for them", n)
		if n > 100 {
			require.LessOrEqual(t, c*10, n*15, "too much room for %d", n)
		}
	}
}

// The order of insertion does not matter to what is found.
func TestTableInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	refs := []ref{}
	for i := range 60 {
		refs = append(refs, ref{ID{Hi: math.MaxUint64 - uint64(i%7), Lo: uint64(i % 5)}, uint16(i)})
	}
	for range 20 {
		r.Shuffle(len(refs), func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
		m := &tableModel{t: t, want: map[ref]uint64{}}
		for _, x := range refs {
			m.insert(x, r.Uint64())
		}
		for i, x := range slices.Backward(refs) {
			m.check(i)
			m.table.remove(m.place(x))
			delete(m.want, x)
		}
		require.Zero(t, m.table.used)
	}
}
