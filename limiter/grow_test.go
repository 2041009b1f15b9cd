package limiter

import (
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var flood = flag.Int("flood", 100_000, "distinct keys of TestFloodOfKeys")

// MaxKeys holds at every moment under a flood of distinct keys, from two sides, and
// every key that went is counted. With -flood 100000000 it takes a minute or two.
func TestFloodOfKeys(t *testing.T) {
	most := min(*flood/10, million)
	g, l := NewLedger(1, most), Per(10, w5)
	var wg sync.WaitGroup
	for side := range 2 {
		wg.Go(func() {
			for n := side; n < *flood; n += 2 {
				// Distinct, for mix is a bijection.
				if d := g.Take(ID{mix(uint64(n)), mix(^uint64(n))}, l, 1, t0, all); !d.Allowed {
					assert.Fail(t, "a new key is denied", "key %d: %+v", n, d)
					return
				}
				if keys := g.Stats().Keys; keys > int64(most) {
					assert.LessOrEqual(t, keys, int64(most))
					return
				}
			}
		})
	}
	wg.Wait()
	checkBooks(t, g)
	require.Equal(t, most, entries(g))
	require.EqualValues(t, *flood-most, g.Stats().Evicted)
}

// A large table grows into places that were made ready for it, and nothing is lost
// on the way. The places are made ready only shortly before, for they are memory.
func TestLargeTablesGrowIntoSpare(t *testing.T) {
	g, l := NewLedger(1, million), Per(10, w5)
	p, r := &g.parts[5], rand.New(rand.NewPCG(33, 34))
	var ids []ID
	grown, spared := 0, 0
	for len(ids) < 20_000 {
		id := ID{r.Uint64(), uint64(5 + len(ids)*Partitions)}
		places, spare := len(p.table.places), p.spare
		ids = append(ids, id)
		require.True(t, g.Take(id, l, 1, t0, all).Allowed)
		if spare != nil {
			spared++
		}
		if len(p.table.places) == places {
			continue
		}
		require.Nil(t, p.spare, "kept beside the new places")
		if len(p.table.places) >= spareMin {
			grown++
			require.Same(t, unsafe.SliceData(spare), unsafe.SliceData(p.table.places), "grown into others, at %d", len(ids))
		} else {
			require.Nil(t, spare, "for a small table, at %d", len(ids))
		}
	}
	require.Greater(t, grown, 3)
	require.Less(t, spared, len(ids)/20, "memory that is not in use, most of the time")
	for _, id := range ids {
		require.EqualValues(t, 9, g.Take(id, l, 0, t0, all).Remaining)
	}
	checkBooks(t, g)
}

// What expired meanwhile makes the table grow less, or shrink: then the places that
// were made ready are of the wrong size.
func TestSpareOfAnotherSize(t *testing.T) {
	g, r := NewLedger(1, million), rand.New(rand.NewPCG(35, 36))
	p, n := &g.parts[5], 0
	next := func(l Limit, now int64) ID {
		id := ID{r.Uint64(), uint64(5 + n*Partitions)}
		n++
		g.Take(id, l, 1, now, all)
		return id
	}
	for p.spare == nil {
		next(Per(10, w5), t0)
	}
	places := len(p.table.places)
	var kept []ID
	for len(p.table.places) == places { // the sweep makes room for most of them
		kept = append(kept, next(Per(10, 10*w5), t6))
		require.Less(t, len(kept), places, "it never grows")
	}
	require.Nil(t, p.spare)
	for _, id := range kept {
		require.EqualValues(t, 9, g.Take(id, Per(10, 10*w5), 0, t6, all).Remaining)
	}
	checkBooks(t, g)
}

// The sizes that speed and memory are built on.
func TestSizes(t *testing.T) {
	var p partition
	require.EqualValues(t, entrySize, unsafe.Sizeof(entry{}))
	require.EqualValues(t, 128, unsafe.Sizeof(p), "two cache lines")
	require.LessOrEqual(t, unsafe.Offsetof(p.ranks)+unsafe.Sizeof(p.ranks), uintptr(64), "what a take needs is in the first")
}
