package ledger

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// MaxKeys holds exactly, whatever is asked by however many.
func TestMaxKeysIsExact(t *testing.T) {
	for _, most := range []int{1, 2, 3, 100, 2000} {
		g, calls := NewLedger(1, most), min(400, 40+4*most) // the fewer places, the longer the search for one
		for round := range 4 {
			var wg sync.WaitGroup
			for seed := range uint64(8) {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, uint64(round)))
					for i := range calls {
						id, now := ID{r.Uint64(), r.Uint64()}, t0+int64(round)*int64(s)
						switch i % 3 {
						case 0:
							g.Take(id, per(10, w5), 1+r.Int64N(10), now, all)
						case 1:
							g.Take(id, bucket(3, w5, 0), 1, now+r.Int64N(int64(2*w5)), all)
						case 2:
							g.Merge(Slot{ID: id, Origin: Origin(seed), At: now, Version: 1, Expires: uint32(now/1e9) + 9}, now, 0)
						}
						if n := g.Stats().Keys; n > int64(most) {
							assert.LessOrEqual(t, n, int64(most))
							return
						}
					}
				})
			}
			wg.Wait()
			checkBooks(t, g)
			require.Equal(t, most, entries(g), "more keys than places, and not all are in use")
		}
	}
}

// A ledger without a place would have no one to evict.
func TestMaxKeysOfNothingIsOne(t *testing.T) {
	for _, most := range []int{0, -5} {
		g := NewLedger(1, most)
		require.True(t, g.Take(idIn(3, 0), per(1, w5), 1, t0, all).Allowed)
		require.True(t, g.Take(idIn(4, 0), per(1, w5), 1, t0, all).Allowed)
		require.Equal(t, 1, entries(g))
	}
}

// What has ended goes before what lives, in the same partition and in others, and
// is no eviction.
func TestExpiredGoFirst(t *testing.T) {
	for _, partitions := range []int{1, 2, 12, Partitions} {
		g, l := NewLedger(1, 12), per(10, w5)
		for n := range 6 {
			g.Take(idIn(n%partitions, n), l, 9, t0, all)
		}
		for n := range 6 {
			g.Take(idIn((6+n)%partitions, 6+n), l, 1, t6, all)
		}
		for n := range 6 { // from the partitions of those that live
			g.Take(idIn((6+n)%partitions, 20+n), l, 1, t6, all)
		}
		held := slots(g)
		for n := range 6 {
			_, ok := held[whose{idIn((6+n)%partitions, 6+n), 1}]
			require.True(t, ok, "over %d partitions: a live one went", partitions)
		}
		require.Zero(t, g.Stats().Evicted)
		checkBooks(t, g)
	}
}

// Among a few, the one that loses least goes: the emptier, then the sooner over.
func TestLeastWorthGoesFirst(t *testing.T) {
	for _, partitions := range []int{1, 9} {
		g, l := NewLedger(1, 9), per(10, w5)
		for n := range 9 {
			g.Take(idIn(n%partitions, n), l, int64(2+(n*5)%9), t0, all) // 2 to 10
		}
		for n := range 5 { // each new one spends more than those that must go for it
			g.Take(idIn(n%partitions, 100+n), l, 10, t0, all)
			held := slots(g)
			require.Len(t, held, 9)
			for m := range 9 {
				_, ok := held[whose{idIn(m%partitions, m), 1}]
				require.Equal(t, (m*5)%9 > n, ok, "over %d partitions, after %d: the one that took %d", partitions, n+1, 2+(m*5)%9)
			}
		}
		require.EqualValues(t, 5, g.Stats().Evicted)
	}
	g := NewLedger(1, 2)
	g.Take(idIn(1, 0), per(10, 10*s), 1, t0, all)
	g.Take(idIn(1, 1), per(10, w5), 1, t0, all)
	g.Take(idIn(1, 2), per(10, w5), 5, t0, all)
	require.Contains(t, slots(g), whose{idIn(1, 0), 1}, "it matters longer")
}

// A flood of new keys never unblocks a key that is over its limit.
func TestBlockedGoLast(t *testing.T) {
	const flood = 2000
	for _, most := range []int{2, 30, 3000} {
		g, l := NewLedger(1, most), per(5, w5)
		r := rand.New(rand.NewPCG(27, uint64(most)))
		blocked := []ID{}
		for range most - 1 {
			id := ID{r.Uint64(), r.Uint64()}
			require.True(t, g.Take(id, l, 5, t0, all).Allowed)
			blocked = append(blocked, id)
		}
		for range flood {
			g.Take(ID{r.Uint64(), r.Uint64()}, l, 1+r.Int64N(4), t0, all)
		}
		for _, id := range blocked {
			require.False(t, g.Take(id, l, 1, t0, all).Allowed, "a blocked key was forgotten for an idle one")
		}
		checkBooks(t, g)
		require.EqualValues(t, flood-1, g.Stats().Evicted)
		// Only where all are blocked does one of them go.
		for range 5 {
			require.True(t, g.Take(ID{r.Uint64(), r.Uint64()}, l, 5, t0, all).Allowed)
		}
		checkBooks(t, g)
		require.Equal(t, most, entries(g))
	}
}

// One idle key among many blocked ones is found, also far from where the search is.
func TestTheIdleOneAmongTheBlocked(t *testing.T) {
	g, l := NewLedger(1, 500), per(5, w5)
	for n := range 499 {
		g.Take(idIn(5, n), l, 5, t0, all)
	}
	for n := range 300 {
		g.Take(idIn(5, 1000+n), l, 4, t0, all)
	}
	for n := range 499 {
		require.False(t, g.Take(idIn(5, n), l, 1, t0, all).Allowed, "a blocked key was forgotten for an idle one")
	}
}

// The last free place is taken once, by however many at the same time.
func TestTheLastPlaceIsTakenOnce(t *testing.T) {
	for range 300 {
		g, ready := NewLedger(1, 2), make(chan struct{})
		var wg sync.WaitGroup
		for c := range 4 {
			wg.Go(func() {
				<-ready
				g.Take(idIn(c, 0), per(5, w5), 1, t0, all)
				assert.LessOrEqual(t, g.Stats().Keys, int64(2))
			})
		}
		close(ready)
		wg.Wait()
		require.Equal(t, 2, entries(g))
	}
}

func TestEvictionCounters(t *testing.T) {
	g, l := NewLedger(1, 3), per(10, w5)
	setHolders(g, 5, 0b1, 0)
	g.Merge(Slot{ID: idIn(5, 0), Origin: 2, At: t5, Cur: 1, Version: 1, Expires: uint32(t5 / 1e9), Fill: 1}, t0, 0)
	g.Take(idIn(5, 1), l, 2, t0, all)
	g.Take(idIn(5, 2), l, 9, t0, all)
	g.Take(idIn(5, 3), l, 9, t0, all)
	require.Equal(t, Stats{Bytes: tableMin * entrySize, Keys: 3, CopiesDropped: 1}, g.Stats())
	g.Take(idIn(5, 4), l, 9, t0, all)
	require.Equal(t, Stats{Bytes: tableMin * entrySize, Keys: 3, CopiesDropped: 1, Evicted: 1, LostSlots: 1}, g.Stats(), "nobody else had it yet")
	collect(g, 5, 0b1, t0)
	g.Take(idIn(5, 5), l, 9, t0, all)
	require.Equal(t, Stats{Bytes: tableMin * entrySize, Keys: 3, CopiesDropped: 1, Evicted: 2, LostSlots: 1}, g.Stats())
}

// Each new key sweeps a little, long before its table has to grow.
func TestNewKeysSweep(t *testing.T) {
	g, l := NewLedger(1, 10_000), per(10, w5)
	places, n := 0, 0
	for ; n < 500 || len(g.parts[5].table.places) == places; n++ { // until it has just grown
		places = len(g.parts[5].table.places)
		g.Take(idIn(5, n), l, 1, t0, all)
	}
	places = len(g.parts[5].table.places)
	for range 150 {
		g.Take(idIn(5, n), l, 1, t6, all)
		n++
	}
	require.Len(t, g.parts[5].table.places, places, "it grew, which sweeps all")
	require.Less(t, entries(g), n-200, "150 new keys and two looked at for each")
	checkBooks(t, g)
}

// A sliding window outlives its end: its weight counts in the next.
func TestSlidingWindowOutlivesItsEnd(t *testing.T) {
	g, id, l := NewLedger(1, 100), idIn(5, 0), sliding(10, w5)
	g.Take(id, l, 10, t0, all)
	for n := range 50 {
		g.Take(idIn(5, 1+n), per(10, w5), 1, t6, all)
	}
	require.EqualValues(t, 2, g.Take(id, l, 0, t6, all).Remaining)
	for n := range 60 {
		g.Take(idIn(5, 100+n), per(10, w5), 1, t0+2*int64(w5), all)
	}
	require.NotContains(t, slots(g), whose{id, 1}, "two windows later it means nothing")
	checkBooks(t, g)
}

// Keys that are no longer used leave without anyone to look for them.
func TestTheExpiredLeaveByTheWay(t *testing.T) {
	g, l := NewLedger(1, 1_000_000), per(10, w5)
	r := rand.New(rand.NewPCG(29, 30))
	for round := range 20 {
		now := t0 + int64(round)*int64(w5)
		for range 5000 {
			g.Take(ID{r.Uint64(), r.Uint64()}, l, 1, now, all)
		}
		require.Less(t, entries(g), 4*5000, "round %d", round)
	}
	checkBooks(t, g)
	require.Zero(t, g.Stats().Evicted)
}

// What reaches far ahead is not what loses least: of a burst without end hardly anything is in use,
// but what was to wait would be admitted.
func TestFarAheadIsNotEvictedFirst(t *testing.T) {
	now := int64(time.Hour)
	for owed, burst := range map[int64]int64{2: 1 << 20, 10: 1 << 30, 20: 20} {
		l := NewLedger(1, 100)
		far := Limit{Quota: 1, Window: time.Minute, Burst: burst, Algorithm: TokenBucket}
		id := ID{Hi: 1 << 40, Lo: 7}
		require.True(t, l.Take(id, far, owed, now, Share{}).Allowed)
		for i := range uint64(2000) {
			l.Take(ID{Hi: i << 32, Lo: i}, Limit{Quota: 100, Window: time.Hour}, 1+int64(i%50), now, Share{})
		}
		d := l.Take(id, far, 0, now, Share{})
		require.Equal(t, time.Duration(owed)*time.Minute, d.ResetAfter, "%d tokens of %d", owed, burst)
	}
}
