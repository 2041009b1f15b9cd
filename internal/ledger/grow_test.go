package ledger

import (
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var flood = flag.Int("flood", 100_000, "distinct keys of TestFloodOfKeys")

// MaxKeys holds at every moment under a flood of distinct keys, from two sides, and
// every key that went is counted. With -flood 100000000 it takes a minute or two.
func TestFloodOfKeys(t *testing.T) {
	most := min(*flood/10, million)
	g, l := NewLedger(1, most), per(10, w5)
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

// However many keys a partition has, none of its tables is large, so no take moves
// much. Nothing is lost on the way, and each id is found in the table of its own.
func TestPartitionsGrowByMoreTables(t *testing.T) {
	g, l := NewLedger(1, million), per(10, w5)
	p, r := &g.parts[5], rand.New(rand.NewPCG(33, 34))
	var ids []ID
	for len(ids) < 40_000 {
		id := ID{r.Uint64(), uint64(5 + len(ids)*Partitions)}
		before := p.tables()
		ids = append(ids, id)
		require.True(t, g.Take(id, l, 1, t0, all).Allowed)
		require.LessOrEqual(t, p.tables(), before+1, "more than one split in one take")
		for i := range p.tables() {
			require.LessOrEqual(t, len(p.at(i).places), tableKeys*5/2, "a table of %d keys in all is large", len(ids))
		}
		if n := len(ids); n&(n-1) == 0 || n == 40_000 {
			for i, id := range ids {
				require.EqualValues(t, 9, g.Take(id, l, 0, t0, all).Remaining, "key %d of %d", i, n)
			}
		}
	}
	require.Greater(t, p.tables(), 40_000/tableKeys/2)
	checkBooks(t, g)
	checkTables(t, p)
}

// checkTables finds each entry in the table of its id.
func checkTables(t testing.TB, p *partition) {
	for i := range p.tables() {
		for _, e := range p.at(i).places {
			if e.expires != 0 {
				require.Equal(t, i, p.index(ID{e.hi, e.lo}), "an entry in another's table, of %d", p.tables())
			}
		}
	}
}

// What has expired is dropped where tables grow and are split, and is counted once.
func TestTablesDropWhatHasExpired(t *testing.T) {
	g, r := NewLedger(1, million), rand.New(rand.NewPCG(35, 36))
	p, n := &g.parts[5], 0
	next := func(l Limit, now int64) ID {
		id := ID{r.Uint64(), uint64(5 + n*Partitions)}
		n++
		require.True(t, g.Take(id, l, l.Quota, now, all).Allowed) // nothing is left: blocked
		return id
	}
	for i := range 5 * tableKeys { // so few of them expire that the sweep does not make room enough
		next(per(10, []time.Duration{w5, 100 * w5, 100 * w5, 100 * w5}[i%4]), t0)
	}
	var kept []ID
	for range 5 * tableKeys {
		kept = append(kept, next(per(10, 10*w5), t6))
	}
	for _, id := range kept {
		require.Zero(t, g.Take(id, per(10, 10*w5), 0, t6, all).Remaining)
	}
	checkBooks(t, g)
	checkTables(t, p)
	require.LessOrEqual(t, p.used, 9*tableKeys, "what has expired is kept")
}

// What is stored in several tables is due and shipped like what is in one.
func TestSeveralTablesAreShipped(t *testing.T) {
	const keys, part = 5 * tableKeys, 5
	from, to, l := NewLedger(1, million), NewLedger(2, million), per(10, 100*w5)
	for i := range keys { // some before anybody is to have them, the others after
		if i == keys/2 {
			setHolders(from, part, 0b10, 0b10)
		}
		require.True(t, from.Take(spread(part, i), l, 1, t0, all).Allowed)
	}
	require.Greater(t, from.parts[part].tables(), 3)
	require.Equal(t, keys, dueCount(from, part, 0b10))
	for more := true; more; {
		n := 0
		more = from.Collect(part, 1, 400, t0, func(s Slot) {
			require.True(t, to.Merge(s, t0, 0), "shipped twice: %v", s)
			n++
		})
		require.LessOrEqual(t, n, 400)
	}
	require.Zero(t, dueCount(from, part, 0b10))
	require.Equal(t, keys, entries(to))
	require.Equal(t, slots(from), slots(to))
	for i := range keys {
		from.Due(spread(part, i), 1, 0b10)
	}
	require.Equal(t, keys, dueCount(from, part, 0b10))
	checkTables(t, &to.parts[part])
	checkBooks(t, from)
	checkBooks(t, to)
}

// spread is one of many ids of a partition, in no order.
func spread(part, i int) ID { return ID{mix(uint64(i)), uint64(part + i*Partitions)} }

// A full ledger whose partition has several tables evicts from all of them, and a
// blocked budget only where every table has nothing else.
func TestEvictionFromSeveralTables(t *testing.T) {
	const most = 5 * tableKeys
	g, r := NewLedger(1, most), rand.New(rand.NewPCG(37, 38))
	n := 0
	next := func(cost int64) ID {
		id := ID{r.Uint64(), uint64(5 + n*Partitions)}
		n++
		require.True(t, g.Take(id, per(10, w5), cost, t0, all).Allowed)
		return id
	}
	var blocked []ID
	for range most - 3 {
		blocked = append(blocked, next(10))
	}
	for range 200 {
		next(1) // the others make room for each other, wherever they are
	}
	require.Greater(t, g.parts[5].tables(), 3)
	for _, id := range blocked {
		require.False(t, g.Take(id, per(10, w5), 1, t0, all).Allowed, "a blocked budget was evicted")
	}
	require.EqualValues(t, 197, g.Stats().Evicted)
	checkBooks(t, g)
	checkTables(t, &g.parts[5])
}

// The sizes that speed and memory are built on.
func TestSizes(t *testing.T) {
	var p partition
	require.EqualValues(t, entrySize, unsafe.Sizeof(entry{}))
	require.EqualValues(t, 128, unsafe.Sizeof(p), "two cache lines")
	require.LessOrEqual(t, unsafe.Offsetof(p.ranks)+unsafe.Sizeof(p.ranks), uintptr(64), "what a take needs is in the first")
}
