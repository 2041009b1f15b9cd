package ledger

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzTake holds a ledger against the model over any history of calls.
func FuzzTake(f *testing.F) {
	r := rand.New(rand.NewPCG(17, 18))
	for range 12 {
		f.Add(randomHistory(r, 30))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		runHistory(t, data, takers{NewLedger(1, 10)})
	})
}

// FuzzMerge joins any slot and then decides: nothing panics, no decision is
// impossible, and the budget is whole again when the slot must have ended.
func FuzzMerge(f *testing.F) {
	f.Add(uint64(0), uint64(2), t0, int32(5), int32(0), uint64(1), uint32(t0/1e9+60), uint8(9), uint32(10), int64(time.Minute), uint8(0), int64(3))
	f.Add(uint64(7), uint64(2), t5, int32(-5), int32(9), uint64(1), uint32(t5/1e9+60), uint8(255), uint32(10), int64(w5), uint8(1), int64(3))
	f.Add(uint64(7), uint64(2), t9, int32(3), int32(3), uint64(2), uint32(math.MaxUint32), uint8(0), uint32(10), int64(w5), uint8(2), int64(1))
	f.Add(uint64(7), uint64(1), int64(math.MaxInt64), int32(math.MinInt32), int32(math.MinInt32), uint64(math.MaxUint64),
		uint32(math.MaxUint32), uint8(255), uint32(math.MaxInt32), int64(MaxWindow), uint8(0), int64(math.MaxInt32))
	f.Add(uint64(math.MaxUint64), uint64(9), t0+2*int64(MaxWindow), int32(math.MaxInt32), int32(math.MaxInt32), uint64(0),
		uint32(math.MaxUint32), uint8(255), uint32(1), int64(minWindow), uint8(2), int64(0))
	f.Add(uint64(1), uint64(0), int64(math.MinInt64), int32(0), int32(0), uint64(0), uint32(0), uint8(0), uint32(0), int64(0), uint8(0), int64(0))
	f.Fuzz(func(t *testing.T, hi, origin uint64, at int64, cur, prev int32, version uint64, expires uint32, fill uint8,
		quota uint32, window int64, algorithm uint8, cost int64) {
		l := Limit{
			Quota:     1 + int64(quota)%MaxQuota,
			Window:    minWindow + time.Duration(uint64(window)%uint64(MaxWindow-minWindow+1)),
			Algorithm: Algorithm(algorithm % 3),
		}
		if !valid(l) {
			return
		}
		s := Slot{ID: ID{Hi: hi}, Origin: Origin(origin), At: at, Cur: cur, Prev: prev, Version: version, Expires: expires, Fill: fill}
		checkGarbage(t, s, l, int64(uint64(cost)%uint64(l.Capacity()+1)))
	})
}

// checkGarbage merges a slot of which nothing is known.
func checkGarbage(t testing.TB, s Slot, l Limit, cost int64) {
	t.Helper()
	g, now, w := NewLedger(1, 4), t0, int64(l.Window)
	g.Take(s.ID, l, 1, now, all)
	own := slotOf(t, g, s.ID, 1)
	g.Merge(s, now, 1)
	g.Merge(s, now, 1)
	require.Equal(t, own, slotOf(t, g, s.ID, 1), "a merge changed our own slot")
	checkBooks(t, g)

	d := g.Take(s.ID, l, cost, now, all)
	checkShape(t, l, cost, d)
	if l.Algorithm != TokenBucket {
		rest := windowEnd(s.ID, w, now) - now
		require.LessOrEqual(t, int64(d.RetryAfter), rest+w, "a debt of more than one budget")
		require.LessOrEqual(t, int64(d.ResetAfter), rest+w)
	}
	g.Give(s.ID, l, cost, now)
	checkBooks(t, g)

	// No window of the slot's, and no arrival time, is later than Merge lets in.
	over := max(now, min(s.At, now+2*int64(MaxWindow)+1e9)) + 2*w
	d = g.Take(s.ID, l, l.Capacity(), over, all)
	require.True(t, d.Allowed, "still in debt when the slot must have ended: %+v %+v: %+v", l, s, d)
	checkBooks(t, g)
}

// The fuzz target's body on many random slots, in every test run.
func TestGarbageFromPeers(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	near := func() int64 { return t0 + (int64(r.Uint64()) >> r.IntN(63)) }
	for range 2000 {
		l := randomLimit(r)
		s := Slot{
			ID: ID{r.Uint64(), r.Uint64()}, Origin: Origin(1 + r.IntN(3)), At: near(),
			Cur: int32(r.Uint32()), Prev: int32(r.Uint32()), Version: r.Uint64() >> r.IntN(64),
			Expires: uint32(max(0, near()/1e9)), Fill: uint8(r.Uint32()),
		}
		if r.IntN(2) == 0 {
			s.Expires = math.MaxUint32
		}
		checkGarbage(t, s, l, magnitude(r, l.Capacity()))
	}
}
