package ledger

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

const million = 1_000_000

// benchLimit has so long a window that none ends while a benchmark runs.
var benchLimit = per(MaxQuota, MaxWindow)

// BenchmarkTakeKnowing takes from a bucket that others counted before: after a hand-over,
// until their slots end.
func BenchmarkTakeKnowing(b *testing.B) {
	for others := range 4 {
		b.Run(strconv.Itoa(others), func(b *testing.B) {
			g, id, lim := NewLedger(1, 100), idIn(5, 0), bucket(million, time.Hour, 0)
			for o := range others {
				other := NewLedger(Origin(2+o), 100)
				other.Take(id, lim, 1, t0, all)
				for _, s := range slots(other) {
					g.Merge(s, t0, 0)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Take(id, lim, 1, t0, all)
			}
		})
	}
}

// BenchmarkInsert takes from keys never seen before: while there is room, and when
// each costs another its place.
func BenchmarkInsert(b *testing.B) {
	for name, most := range map[string]int{"growing": 1 << 30, "full": 100_000, "small-and-full": 100} {
		b.Run(name, func(b *testing.B) {
			g, r := NewLedger(1, most), rand.New(rand.NewPCG(1, 1))
			for range min(most, 100_000) {
				g.Take(ID{r.Uint64(), r.Uint64()}, benchLimit, 1, t0, all)
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Take(ID{r.Uint64(), r.Uint64()}, benchLimit, 1, t0, all)
			}
		})
	}
}

// BenchmarkMerge joins news of known slots.
func BenchmarkMerge(b *testing.B) {
	g, r := NewLedger(1, million), rand.New(rand.NewPCG(1, 1))
	slots := make([]Slot, 100_000)
	for i := range slots {
		slots[i] = Slot{ID: ID{r.Uint64(), r.Uint64()}, Origin: Origin(2 + i%3), At: t5, Cur: 1, Version: 1, Expires: uint32(t5 / 1e9)}
		g.Merge(slots[i], t0, 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s := &slots[i%len(slots)]
		s.Version++
		if !g.Merge(*s, t0, 0) {
			b.Fatal("no news")
		}
	}
}

// BenchmarkCollect flushes a thousand changed slots of one partition.
func BenchmarkCollect(b *testing.B) {
	g, n := NewLedger(1, million), 0
	setHolders(g, 5, 0b1, 0)
	for b.Loop() {
		for i := range 1000 {
			g.Take(idIn(5, i), benchLimit, 1, t0, all)
		}
		g.Collect(5, 0, 1000, t0, func(Slot) { n++ })
	}
	if n != b.N*1000 {
		b.Fatal("a slot was not sent once per flush")
	}
}
