package ledger

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever happens to a partition while it is shipped a little at a time, by takes, news,
// evictions, growth, failed deliveries and changes of holders: at last each holder has
// the last version of everything that is stored.
func TestNothingDueIsForgotten(t *testing.T) {
	const part = 5
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		most := []int{40, 3000, 9000}[seed%3]
		g := NewLedger(1, most)
		procs := [6]*Ledger{} // those that may be holders
		for i := range procs {
			procs[i] = NewLedger(Origin(100+i), 1<<20)
		}
		rank := [Ranks]int{-1, -1, -1} // the process of each
		change := func() {
			perm, was := r.Perm(len(procs)), [Ranks]int{-1, -1, -1}
			next, ranks := [Ranks]int{-1, -1, -1}, uint8(0)
			for i := range Ranks {
				if r.IntN(3) == 0 {
					continue // this process itself, or nobody
				}
				next[i] = perm[i] % 4
				if r.IntN(2) == 0 && rank[i] >= 0 {
					next[i] = rank[i]
				}
				for j := range i {
					if next[j] == next[i] {
						next[i] = -1
					}
				}
				if next[i] < 0 {
					continue
				}
				ranks |= 1 << i
				for old, p := range rank {
					if p == next[i] {
						was[i] = old
					}
				}
			}
			rank = next
			g.SetHolders(part, ranks, was)
		}
		ship := func(n int) (more bool) {
			for i, p := range rank {
				if p < 0 {
					continue
				}
				var lost []Slot
				more = g.Collect(part, i, n, t0, func(s Slot) {
					if r.IntN(20) == 0 {
						lost = append(lost, s)
						return
					}
					procs[p].Merge(s, t0, 0)
				}) || more
				for _, s := range lost {
					g.Due(s.ID, s.Origin, allMask)
					more = true
				}
			}
			return more
		}
		change()
		for range 4000 {
			id := spread(part, r.IntN(6000))
			switch x := r.IntN(100); {
			case x < 60:
				g.Take(id, per(100, w5), 1, t0, all)
			case x < 75:
				g.Merge(Slot{ID: id, Origin: Origin(2 + r.IntN(9)), At: t5, Cur: 1, Version: r.Uint64N(1 << 40), Expires: uint32(t5 / 1e9)}, t0, allMask)
			case x < 80: // one key of many processes
				g.Merge(Slot{ID: spread(part, 1), Origin: Origin(1000 + r.IntN(300)), At: t5, Cur: 1, Version: r.Uint64N(1 << 40), Expires: uint32(t5 / 1e9)}, t0, allMask)
			case x < 85:
				g.Due(id, 1, allMask)
			case x < 98:
				ship(1 + r.IntN(30))
			case x < 99 && r.IntN(10) == 0:
				change()
			}
		}
		for rounds := 0; ship(1 + r.IntN(50)); rounds++ {
			require.Less(t, rounds, 100_000, "seed %d: it never ends", seed)
		}
		require.False(t, g.HasDue().Has(part))
		for i, p := range rank {
			if p < 0 {
				continue
			}
			has := slots(procs[p])
			for who, s := range slots(g) {
				require.LessOrEqual(t, s.Version, has[who].Version, "seed %d: rank %d, %v", seed, i, s)
			}
		}
		checkBooks(t, g)
	}
}

const allMask = 1<<Ranks - 1
