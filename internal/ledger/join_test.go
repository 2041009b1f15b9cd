package ledger

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The limits that the origins of these tests count in, each with an id of its own.
var joinLimits = []Limit{per(40, w5), sliding(40, w5), bucket(40, w5, 20), per(7, 2*s)}

// versions lets some origins decide on some ids, out of each other's sight, and
// returns all versions of all their slots. All windows and buckets reach past t9.
func versions(r *rand.Rand, origins int) (list []Slot) {
	for o := range origins {
		g := NewLedger(Origin(10+o), 1000)
		for p := range 3 {
			setHolders(g, p, 1, 0)
		}
		now := t5
		for range 30 {
			id := idIn(r.IntN(3), r.IntN(2))
			l := joinLimits[id.Lo%uint64(len(joinLimits))]
			if r.IntN(5) == 0 {
				g.Give(id, l, 1+r.Int64N(3), now)
			} else {
				g.Take(id, l, r.Int64N(4), now, all)
			}
			now += r.Int64N(int64(s) / 10)
			for _, s := range collect(g, id.Partition(), 1, now) {
				list = append(list, s.slot)
			}
		}
	}
	return list
}

func mergeAll(l *Ledger, order []Slot) *Ledger {
	for _, s := range order {
		l.Merge(s, t9, 0)
	}
	return l
}

// looks reads the decisions on all ids, now and in the next windows.
func looks(l *Ledger) (ds []Decision) {
	for _, now := range []int64{t8, t9, t9 + int64(s), t9 + int64(w5)} {
		for p := range 3 {
			for n := range 2 {
				id := idIn(p, n)
				ds = append(ds, l.Take(id, joinLimits[id.Lo%uint64(len(joinLimits))], 0, now, all))
			}
		}
	}
	return ds
}

// In whatever order slots arrive, some of them twice, some only by way of others:
// what is held in the end is the same, and so is what is decided.
func TestJoinIsAJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for range 60 {
		order := versions(r, 1+r.IntN(4))
		want := slots(mergeAll(NewLedger(1, 1000), order))
		decisions := looks(mergeAll(NewLedger(1, 1000), order))
		newest := map[whose]uint64{}
		for _, s := range order {
			k := whose{s.ID, s.Origin}
			newest[k] = max(newest[k], s.Version)
		}

		for _, s := range want {
			require.Equal(t, newest[whose{s.ID, s.Origin}], s.Version, "an older version won")
		}

		// Commutative.
		shuffled := append([]Slot{}, order...)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		g := mergeAll(NewLedger(1, 1000), shuffled)
		require.Equal(t, want, slots(g))
		require.Equal(t, decisions, looks(g))

		// Idempotent: a second time it is no news to anyone.
		for range 50 {
			require.False(t, g.Merge(order[r.IntN(len(order))], t9, 0))
		}
		require.Equal(t, want, slots(g))

		// Associative: (a ∪ b) ∪ c is a ∪ (b ∪ c), where a ledger sends on what it holds.
		i := r.IntN(len(shuffled))
		j := i + r.IntN(len(shuffled)-i)
		held := func(l *Ledger) (list []Slot) {
			for _, s := range slots(l) {
				list = append(list, s)
			}
			return list
		}
		a, b, c := shuffled[:i], shuffled[i:j], shuffled[j:]
		left := mergeAll(mergeAll(mergeAll(NewLedger(1, 1000), a), b), c)
		bc := mergeAll(mergeAll(NewLedger(2, 1000), b), c)
		right := mergeAll(mergeAll(NewLedger(1, 1000), a), held(bc))
		require.Equal(t, slots(left), slots(right))
		require.Equal(t, decisions, looks(right))
		checkBooks(t, right)
	}
}

// An origin's own slots are its own: no copy, old or forged, changes them.
func TestOwnSlotsAreNeverMerged(t *testing.T) {
	g, id, l := NewLedger(1, 100), idIn(5, 0), per(10, w5)
	g.Take(id, l, 2, t0, all)
	old := slotOf(t, g, id, 1)
	g.Take(id, l, 5, t0, all)
	own := slotOf(t, g, id, 1)

	for range 9 { // versions of other ids, which a forger may guess
		g.Take(idIn(5, 1), l, 1, t0, all)
	}
	forged, guessed := own, own
	forged.Version, forged.Cur = own.Version+1000, 0
	guessed.Version, guessed.Cur = own.Version+1, 0
	for _, s := range []Slot{old, own, forged, guessed} {
		require.False(t, g.Merge(s, t1, 0))
		require.Equal(t, own, slotOf(t, g, id, 1))
	}
	require.EqualValues(t, 3, g.Take(id, l, 0, t1, all).Remaining)
}

// A slot that was forgotten here and comes back from a peer counts again, and the
// versions after it are higher.
func TestOwnSlotComesBack(t *testing.T) {
	g, a, b, l := NewLedger(1, 1), idIn(5, 0), idIn(5, 1), per(10, w5)
	g.Take(a, l, 6, t0, all)
	kept := slotOf(t, g, a, 1)
	g.Take(b, l, 1, t0, all)
	require.Len(t, slots(g), 1, "a is forgotten")
	require.False(t, g.Merge(Slot{ID: a, Origin: 1, At: t5, Cur: 9, Version: 1 << 40, Expires: kept.Expires}, t0, 0),
		"a version that we never made")
	require.True(t, g.Merge(kept, t0, 0))
	require.EqualValues(t, 3, g.Take(a, l, 1, t0, all).Remaining)
	require.Greater(t, slotOf(t, g, a, 1).Version, kept.Version)
}

// Split and heal: each side counts in its own slots, and when the slots meet, every
// side knows the exact sum; of buckets as well, since all was taken at one instant.
func TestSplitAndHeal(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	for range 100 {
		sides := takers{NewLedger(1, 100), NewLedger(2, 100), NewLedger(3, 100)}
		count, slide, full := per(1000, w5), sliding(1000, w5), bucket(1000, 1000*s, 0)
		var sum int64
		for _, g := range sides {
			mine := r.Int64N(250)
			for left := mine; left > 0; {
				n := min(left, 1+r.Int64N(50))
				for _, l := range []Limit{count, slide, full} {
					require.True(t, g.Take(idIn(1, int(l.Algorithm)), l, n, t0, all).Allowed)
				}
				left -= n
			}
			sum += mine
		}
		sides.sync(t0)
		sides.sync(t0) // a repeat does no harm
		for _, g := range sides {
			require.Equal(t, 1000-sum, g.Take(idIn(1, 0), count, 0, t1, all).Remaining)
			require.Equal(t, 1000-sum, g.Take(idIn(1, 1), slide, 0, t1, all).Remaining)
			require.Equal(t, 1000-sum, g.Take(idIn(1, 2), full, 0, t0, all).Remaining)
			require.False(t, g.Take(idIn(1, 0), count, 1001-sum, t1, all).Allowed)
		}
		// What one gives back, also of what another admitted, is back for all.
		back := min(sum, 5)
		sides[0].Give(idIn(1, 0), count, back, t1)
		sides.sync(t1)
		require.Equal(t, 1000-sum+back, sides[2].Take(idIn(1, 0), count, 0, t1, all).Remaining)
	}
}

// Two sides with the same clocks but a little apart: a slot of a window that has
// not begun here counts here, and one that is long over does not.
func TestSlotsOfOtherWindows(t *testing.T) {
	for _, c := range []struct {
		at         int64
		fix, slide int64 // what is left of 10 at t6, in the window that ends at t0+10s
	}{
		{t5 - int64(w5), 10, 10},          // the window before last
		{t5, 10, 6},                       // the last one: 4 weigh 3.2, rounded up
		{t5 + int64(w5), 6, 4},            // this one: its 4, and the 2 before weigh 1.6
		{t5 + 2*int64(w5), 4, 4},          // the next
		{t5 + 3*int64(w5), 10, 10},        // the one after that: no clock is that far ahead
		{t5 + int64(w5) + int64(s), 4, 4}, // one that begins within this
	} {
		for _, l := range []Limit{per(10, w5), sliding(10, w5)} {
			g := NewLedger(1, 10)
			require.True(t, g.Merge(Slot{ID: idIn(0, 0), Origin: 2, At: c.at, Cur: 4, Prev: 2, Version: 1, Expires: uint32(t9/1e9) + 99}, t6, 0))
			want := c.fix
			if l.Algorithm == SlidingWindow {
				want = c.slide
			}
			require.Equal(t, want, g.Take(idIn(0, 0), l, 0, t6, all).Remaining, "%v, window ends at t0%+ds", l.Algorithm, (c.at-t0)/1e9)
		}
	}
}
