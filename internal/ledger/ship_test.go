package ledger

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sent is what one Collect hands out.
type sent struct {
	slot  Slot
	ranks uint8
}

// collect takes all that is due to the ranks in mask.
func collect(l *Ledger, part int, mask uint8, now int64) (got []sent) {
	for rank := range Ranks {
		if mask&(1<<rank) == 0 {
			continue
		}
		for more := true; more; {
			more = l.Collect(part, rank, 7, now, func(s Slot) {
				for i := range got {
					if x := &got[i]; x.slot.ID == s.ID && x.slot.Origin == s.Origin && x.ranks&(1<<rank) == 0 {
						x.ranks |= 1 << rank
						return
					}
				}
				got = append(got, sent{s, 1 << rank})
			})
		}
	}
	return got
}

// setHolders makes ranks those of other processes: those in all of new ones, the rest of
// the same as before.
func setHolders(l *Ledger, part int, ranks, all uint8) {
	was := [Ranks]int{0, 1, 2}
	for r := range was {
		if all&(1<<r) != 0 {
			was[r] = -1
		}
	}
	l.SetHolders(part, ranks, was)
}

// dueCount is how many slots of a partition are due to a rank in mask.
func dueCount(l *Ledger, part int, mask uint8) int {
	p, due := &l.parts[part], map[*entry]bool{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for rank := range Ranks {
		if mask&(1<<rank) == 0 || p.owed == nil {
			continue
		}
		o := &p.owed[rank]
		for _, r := range o.refs[o.head:] {
			if e := p.entryOf(r); e != nil && e.due&(1<<rank) != 0 {
				due[e] = true
			}
		}
		for i := o.table; o.sweep && i < p.tables(); i++ {
			from := uint64(0)
			if i == o.table {
				from = o.hi
			}
			p.at(i).from(from, func(e *entry) bool { due[e] = true; return true })
		}
	}
	return len(due)
}

// However many takes, a slot is sent once per flush, with all of them.
func TestCollectCoalesces(t *testing.T) {
	g, id, l := NewLedger(7, 100), idIn(5, 0), per(100, w5)
	setHolders(g, 5, 0b1, 0b1)
	for range 9 {
		g.Take(id, l, 2, t0, all)
	}
	g.Take(idIn(5, 1), l, 1, t0, all)
	g.Take(idIn(6, 0), l, 1, t0, all) // another partition, with no holder but us
	require.Equal(t, 2, dueCount(g, 5, 1))
	require.Zero(t, dueCount(g, 6, 0xff))

	got := collect(g, 5, 0b1, t0)
	require.Len(t, got, 2)
	s := got[0].slot
	want := Slot{ID: id, Origin: 7, At: t5, Cur: 18, Version: s.Version, Expires: uint32(t5 / 1e9), Fill: fill(82, 100)}
	require.Equal(t, want, s)
	require.Empty(t, collect(g, 5, 0b1, t0), "sent again, with nothing new")

	g.Give(id, l, 8, t1)
	g.Take(id, l, 1, t1, all)
	got = collect(g, 5, 0b1, t1)
	require.Len(t, got, 1)
	require.EqualValues(t, 11, got[0].slot.Cur)
	require.Greater(t, got[0].slot.Version, s.Version)
}

// Where there is nobody else, nothing is due, and no list grows.
func TestNothingIsDueAlone(t *testing.T) {
	g, l := NewLedger(1, 100), per(100, w5)
	for range 9 {
		g.Take(idIn(5, 0), l, 1, t0, all)
	}
	setHolders(g, 5, 0, 0)
	require.False(t, g.HasDue().Has(5))
	require.Nil(t, g.parts[5].owed)
}

// Each rank has a due bit of its own.
func TestCollectByRank(t *testing.T) {
	g, id, l := NewLedger(1, 100), idIn(5, 0), per(100, w5)
	setHolders(g, 5, 0b110, 0)
	g.Take(id, l, 1, t0, all)
	require.Empty(t, collect(g, 5, 0b001, t0), "due to a rank that is not another process")
	require.EqualValues(t, 0b010, collect(g, 5, 0b011, t0)[0].ranks)
	require.Zero(t, dueCount(g, 5, 0b010))
	require.Equal(t, 1, dueCount(g, 5, 0b100))
	require.EqualValues(t, 0b100, collect(g, 5, 0b111, t0)[0].ranks, "what was not collected stays due")
	require.Zero(t, dueCount(g, 5, 0xff))

	g.Merge(Slot{ID: id, Origin: 9, At: t5, Cur: 1, Version: 1, Expires: uint32(t5 / 1e9)}, t0, 0b101)
	require.EqualValues(t, 0b100, collect(g, 5, 0xff, t0)[0].ranks, "news is due to those in the mask who are others")
}

func TestFailedDeliveryIsDueAgain(t *testing.T) {
	g, id, l := NewLedger(1, 100), idIn(5, 0), per(100, w5)
	setHolders(g, 5, 0b11, 0)
	g.Take(id, l, 1, t0, all)
	collect(g, 5, 0b11, t0)
	g.Take(id, l, 1, t0, all) // meanwhile
	g.Due(id, 1, 0b01)
	got := collect(g, 5, 0b11, t0)
	require.Len(t, got, 1, "one slot twice in a flush")
	require.EqualValues(t, 2, got[0].slot.Cur)

	g.Due(id, 1, 0b10)
	require.EqualValues(t, 0b10, collect(g, 5, 0b11, t0)[0].ranks)
	g.Due(id, 1, 0b100) // no longer a holder
	g.Due(id, 99, 0b11) // of a process we never heard of
	g.Due(idIn(5, 1), 1, 0b11)
	require.Zero(t, dueCount(g, 5, 0xff))
}

// When the ring changes, everything held is due to the new holders, what was due
// to an unchanged one still is, and what was due to a former one is not.
func TestSetHolders(t *testing.T) {
	g, l := NewLedger(1, 100), per(100, w5)
	setHolders(g, 5, 0b011, 0)
	g.Take(idIn(5, 0), l, 1, t0, all)
	collect(g, 5, 0b011, t0)
	g.Take(idIn(5, 1), l, 1, t0, all)
	g.Merge(Slot{ID: idIn(5, 2), Origin: 9, At: t5, Cur: 1, Version: 1, Expires: uint32(t5 / 1e9)}, t0, 0)

	setHolders(g, 5, 0b110, 0b100)
	got := map[ID]uint8{}
	for _, s := range collect(g, 5, 0xff, t0) {
		got[s.slot.ID] = s.ranks
	}
	require.Equal(t, map[ID]uint8{idIn(5, 0): 0b100, idIn(5, 1): 0b110, idIn(5, 2): 0b100}, got)
	setHolders(g, 5, 0, 0)
	g.Take(idIn(5, 0), l, 1, t0, all)
	require.Zero(t, dueCount(g, 5, 0xff), "due to nobody")
}

// LostSlots are the own slots that ended before somebody else had them.
func TestLostSlots(t *testing.T) {
	l := per(100, w5)
	lost := func(g *Ledger) int64 { return g.Stats().LostSlots }

	g := NewLedger(1, 100)
	setHolders(g, 5, 0b1, 0)
	g.Take(idIn(5, 0), l, 1, t0, all)
	g.Merge(Slot{ID: idIn(5, 1), Origin: 9, At: t5, Version: 1, Expires: uint32(t5 / 1e9)}, t0, 1)
	require.Empty(t, collect(g, 5, 0b1, t5), "sent when it meant nothing any more")
	require.EqualValues(t, 1, lost(g), "a copy is its origin's to lose")
	for n := range 9 { // sweeps away what expired
		g.Take(idIn(5, 2+n), l, 1, t5, all)
	}
	require.EqualValues(t, 1, lost(g), "counted twice")

	g = NewLedger(1, 100)
	setHolders(g, 5, 0b1, 0)
	for n := range 3 {
		g.Take(idIn(5, n), l, 1, t0, all)
	}
	collect(g, 5, 0b1, t0)
	setHolders(g, 5, 0b11, 0b10) // a new successor, when all three have ended
	g.Step(time.Second)
	require.Empty(t, collect(g, 5, 0b11, t7))
	require.Zero(t, dueCount(g, 5, 0b11))
	require.Zero(t, lost(g), "they had been delivered in their time")
}

// An id that was forgotten and came back before the flush is due once, and what is listed
// does not pile up while nobody takes delivery.
func TestDueOnceAfterEviction(t *testing.T) {
	g, a, b, l := NewLedger(1, 1), idIn(5, 0), idIn(5, 1), per(100, w5)
	setHolders(g, 5, 0b1, 0)
	for range 500 {
		g.Take(a, l, 1, t0, all)
		g.Take(b, l, 1, t0, all)
	}
	require.LessOrEqual(t, len(g.parts[5].owed[0].refs), refsSlack+4)
	require.Equal(t, 1, dueCount(g, 5, 0b1))
	require.Len(t, collect(g, 5, 0b1, t0), 1)
	require.Empty(t, collect(g, 5, 0b1, t0))
	g.Take(b, l, 1, t0, all)
	require.True(t, g.Cede(5, 50, t0, func(due []Slot) bool { return assert.Len(t, due, 1) }))
}

func TestHold(t *testing.T) {
	g, id, l := NewLedger(1, 100), idIn(5, 0), per(2, w5)
	require.True(t, g.Held().Has(5), "a new ledger decides for all")
	d, held := g.TakeHeld(id, l, 1, t0, all)
	require.True(t, held)
	require.Equal(t, g.Take(id, l, 0, t0, all), d)
	require.True(t, g.GiveHeld(id, l, 1, t0))

	g.Hold(5, false)
	require.False(t, g.Held().Has(5))
	require.True(t, g.Held().Has(6))
	_, held = g.TakeHeld(id, l, 1, t0, all)
	require.False(t, held)
	require.False(t, g.GiveHeld(id, l, 1, t0))
	require.EqualValues(t, 0, slotOf(t, g, id, 1).Cur, "counted though not held")
	require.True(t, g.Take(id, l, 2, t0, all).Allowed, "Take decides regardless")
}

// Cede hands over all that rank 0 does not have, or changes nothing.
func TestCede(t *testing.T) {
	g, l := NewLedger(1, 100), per(100, w5)
	setHolders(g, 5, 0b11, 0)
	for n := range 3 {
		g.Take(idIn(5, n), l, 1, t0, all)
	}
	never := func([]Slot) bool { assert.Fail(t, "commit is called"); return true }
	require.False(t, g.Cede(5, 2, t0, never), "too much is due")

	require.False(t, g.Cede(5, 3, t0, func(due []Slot) bool { return len(due) != 3 }))
	require.True(t, g.Held().Has(5))
	require.Equal(t, 3, dueCount(g, 5, 0b01), "a failed commit leaves all due")
	require.Equal(t, 3, dueCount(g, 5, 0b10))

	g.Take(idIn(5, 0), l, 4, t0, all)
	total := int32(0)
	require.True(t, g.Cede(5, 3, t0, func(due []Slot) bool {
		for _, s := range due {
			total += s.Cur
		}
		return true
	}))
	require.EqualValues(t, 7, total)
	require.False(t, g.Held().Has(5))
	require.Zero(t, dueCount(g, 5, 0b01))
	require.Equal(t, 3, dueCount(g, 5, 0b10), "the others still have it due")
	require.False(t, g.Cede(5, 100, t0, never), "not ours any more")
}

// A new idea of time leaves all that is held where it is: nothing is lost by it, and all
// of it ends.
func TestStepKeepsCounts(t *testing.T) {
	for _, by := range []time.Duration{1, s, -s, w5, -w5, time.Hour, -time.Hour, 12345 * s, 1234567 * time.Microsecond} {
		for _, l := range []Limit{per(10, w5), sliding(10, w5), bucket(10, w5, 0)} {
			g, id, now := NewLedger(1, 100), idIn(5, 0), t2
			g.Take(id, l, 6, now, all)
			g.Merge(Slot{ID: id, Origin: 2, At: t5, Cur: 2, Version: 1, Expires: uint32(t9 / 1e9)}, now, 0)
			before := g.Take(id, l, 0, now, all)
			g.Step(by)
			after := g.Take(id, l, 0, now, all)
			require.LessOrEqual(t, after.Remaining, before.Remaining, "%v stepped by %v", l.Algorithm, by)
			if l.Algorithm != SlidingWindow { // there a share of the last window counts, which may be another now
				require.Equal(t, before.Remaining, after.Remaining, "%v stepped by %v", l.Algorithm, by)
			}
			require.True(t, g.Take(id, l, 10, now+3*int64(w5), all).Allowed, "%v stepped by %v never ends", l.Algorithm, by)
		}
	}
}

// After a step, windows lie where they do for who has had that time all along.
func TestStepMovesWindows(t *testing.T) {
	for _, by := range []time.Duration{1, s, -s, 12345 * s, 1234567 * time.Microsecond} {
		stepped, other, id := NewLedger(1, 100), NewLedger(2, 100), idIn(5, 0)
		stepped.Step(by)
		want := other.Take(id, per(10, w5), 1, t2+int64(by), all).ResetAfter
		require.Equal(t, want, stepped.Take(id, per(10, w5), 1, t2, all).ResetAfter, "stepped by %v", by)
	}
}

// Takes from many goroutines while time steps, over and over: a budget that was spent
// stays spent, and one that was not is not admitted twice.
func TestTakesWhileTimeSteps(t *testing.T) {
	g, l := NewLedger(1, 1<<16), per(2, 5*w5)
	const keys = 4000
	for i := range keys / 2 {
		g.Take(idIn(i, 0), l, 2, t0, all)
	}
	var wg sync.WaitGroup
	var admitted atomic.Int64
	for range 4 {
		wg.Go(func() {
			for i := range 4 * keys {
				if g.Take(idIn(i%keys, 0), l, 1, t0, all).Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	for i := range 2000 {
		g.Step(time.Duration(i%3-1) * 3 * s)
	}
	wg.Wait()
	require.EqualValues(t, keys, admitted.Load(), "two for each that was not spent before")
}

// A slot that moves to another clock and back means the same, and lives no shorter.
func TestSlotMoves(t *testing.T) {
	x := Slot{At: t5, Expires: uint32(t5 / 1e9), Cur: 3, Version: 2}
	require.Equal(t, Slot{At: t5 + 1, Expires: x.Expires + 1, Cur: 3, Version: 2}, x.Move(1))
	y := x.Move(int64(time.Hour)).Move(-int64(time.Hour))
	require.Equal(t, x, y)
	require.Zero(t, x.Move(-2*t5).At, "before time began")
}
