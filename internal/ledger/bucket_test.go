package ledger

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// handOver brings all slots of an id's partition from one process to the others.
func handOver(now int64, from *Ledger, to ...*Ledger) {
	for _, s := range slots(from) {
		for _, g := range to {
			g.Merge(s, now, 0)
		}
	}
}

func left(g *Ledger, id ID, l Limit, now int64) int64 { return g.Take(id, l, 0, now, all).Remaining }

// One slot, and nothing beside it, is what a bucket costs as long as one process counts,
// and again when the slot of the holder before has ended.
func TestWhatABucketCosts(t *testing.T) {
	require.EqualValues(t, entrySize, unsafe.Sizeof(entry{}))
	a, b, id, l := NewLedger(1, 100), NewLedger(2, 100), idIn(5, 0), bucket(10, 10*s, 0)
	for n := range 4 {
		a.Take(id, l, 1, t0+int64(n), all)
	}
	require.Equal(t, 1, entries(a))
	handOver(t0, a, b)
	require.Equal(t, 1, entries(b))
	b.Take(id, l, 1, t0, all)
	require.Equal(t, 3, entries(b), "two slots, and what one knows of the other")
	for n := range 40 { // a's slot ends 14 s after t0
		b.Take(id, l, 1, t0+int64(n)*int64(s), all)
		b.Take(idIn(5, 1), l, 1, t0+int64(n)*int64(s), all) // new keys sweep
	}
	require.Empty(t, slotOf(t, b, id, 2).Knows)
	checkBooks(t, b)
}

// A chain of holders leaves one note for each, not one for each pair.
func TestAChainOfHoldersIsShort(t *testing.T) {
	id, l := idIn(5, 0), bucket(1000, 1000*s, 0)
	last := NewLedger(1, 100)
	for n := range KnownMost + 1 {
		last.Take(id, l, 1, t0, all)
		require.Equal(t, 2*n+1, entries(last), "after %d hand-overs", n)
		require.EqualValues(t, 999-n, left(last, id, l, t0))
		next := NewLedger(Origin(2+n), 100)
		handOver(t0, last, next)
		require.Equal(t, 2*n+1, entries(next))
		require.EqualValues(t, 999-n, left(next, id, l, t0))
		last = next
	}
	// Knowledge that finds no room: the budget is smaller then, never larger.
	last.Take(id, l, 1, t0, all)
	require.Len(t, slotOf(t, last, id, KnownMost+2).Knows, KnownMost)
	require.LessOrEqual(t, left(last, id, l, t0), int64(1000-KnownMost-2))
	require.GreaterOrEqual(t, left(last, id, l, t0), int64(1000-KnownMost-3), "the one it does not know took one token")
	checkBooks(t, last)
}

// Notes never push out a slot of their own id, nor what is blocked.
func TestNotesTakeNoPlaceFromTheirSlot(t *testing.T) {
	id, l := idIn(5, 0), bucket(10, 10*s, 0)
	for most := 1; most < 6; most++ {
		a, g := NewLedger(1, 100), NewLedger(2, most)
		a.Take(id, l, 2, t0, all)
		handOver(t0, a, g)
		if most > 2 {
			g.Take(idIn(6, 0), per(1, w5), 1, t0, all) // blocked
		}
		for range 3 {
			g.Take(id, l, 1, t0, Share{1, 2})
			checkBooks(t, g)
		}
		require.NotZero(t, slotOf(t, g, id, 2).Cur)
		require.LessOrEqual(t, left(g, id, l, t0), int64(7))
		if most > 2 {
			require.False(t, g.Take(idIn(6, 0), per(1, w5), 1, t0, all).Allowed)
		}
	}
}

// A share admits less, at its own pace, but what it admitted costs no more than its true
// price: when the split is over, the bucket is full again in the time of what was taken.
func TestAShareChargesTheTruePrice(t *testing.T) {
	id, l, half := idIn(5, 0), bucket(10, 10*s, 8), Share{1, 2} // 5 per 10 s, 4 at once
	g := NewLedger(1, 100)
	for range 4 {
		require.True(t, g.Take(id, l, 1, t0, half).Allowed)
	}
	d := g.Take(id, l, 1, t0, half)
	require.False(t, d.Allowed)
	require.Equal(t, 2*s, d.RetryAfter, "the pace is that of the share")
	require.EqualValues(t, 4, left(g, id, l, t0), "four of eight, whoever asks now")
	require.True(t, g.Take(id, l, 1, t2, half).Allowed)
	require.False(t, g.Take(id, l, 1, t2, half).Allowed)
	require.EqualValues(t, 5, left(g, id, l, t2), "5 taken, 2 refilled")
	require.EqualValues(t, 8, left(g, id, l, t5))

	// The pace goes to the next holder on this side, whose clock is another.
	next, behind := NewLedger(2, 100), int64(time.Hour)
	for _, x := range slots(g) {
		next.Merge(x.Move(-behind), t3-behind, 0)
	}
	require.Equal(t, g.Take(id, l, 1, t3, half), next.Take(id, l, 1, t3-behind, half))
	require.Equal(t, 1*s, next.Take(id, l, 1, t3-behind, half).RetryAfter)
	require.True(t, next.Take(id, l, 1, t4-behind, half).Allowed)
	checkBooks(t, next)
}

// However a side is asked, in each time it admits no more than its share of the burst
// and of what is refilled.
func TestAShareKeepsItsPace(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	for range 200 {
		l := bucket(10+r.Int64N(50), time.Minute, 10+r.Int64N(50))
		seen, known := 1+r.IntN(3), 4
		part := l.share(int64(seen), int64(known))
		sides, id, now, sum := takers{NewLedger(1, 100), NewLedger(2, 100)}, ID{r.Uint64(), r.Uint64()}, t0, int64(0)
		for range 100 {
			cost := r.Int64N(3)
			if sides[r.IntN(2)].Take(id, l, cost, now, Share{seen, known}).Allowed {
				sum += cost
			}
			most := part.Capacity() + (now-t0)/part.Interval()
			require.LessOrEqual(t, sum, most, "%+v, %d of %d, after %v", l, seen, known, time.Duration(now-t0))
			now += r.Int64N(2 * l.Interval())
			sides.sync(now)
		}
	}
}

// Whoever gives back, what is owed is less for all, and what was taken stays counted:
// a refund that came when most had been refilled must not hide what is taken next.
func TestBucketRefunds(t *testing.T) {
	id, l := idIn(5, 0), bucket(20, 20*s, 0)
	a, b := NewLedger(1, 100), NewLedger(2, 100)
	a.Take(id, l, 10, t0, all)
	handOver(t0, a, b)
	b.Give(id, l, 4, t1) // of what another took
	require.EqualValues(t, 15, left(b, id, l, t1))
	handOver(t1, b, a)
	require.EqualValues(t, 15, left(a, id, l, t1))

	c := NewLedger(3, 100) // it knows nothing of the others
	c.Take(id, l, 1, t5, all)
	b.Give(id, l, 10, t5) // one is owed by now
	b.Take(id, l, 10, t5, all)
	handOver(t5, b, c)
	require.LessOrEqual(t, left(c, id, l, t5), int64(20-11), "10 taken, and 1 on the other side")
}

// A slot that was dropped and is born again begins a life: those who knew the last one
// charge what is new, and only that.
func TestABucketsSlotIsBornAgain(t *testing.T) {
	id, l := idIn(5, 0), bucket(20, 20*s, 0)
	for _, swept := range []bool{false, true} {
		a, b := NewLedger(1, 100), NewLedger(2, 100)
		a.Take(id, l, 15, t0, all) // ends at t0 + 35 s
		handOver(t0, a, b)
		b.Take(id, l, 1, t0, all)
		if swept {
			for n := range 20 {
				a.Take(idIn(5, 1+n), l, 1, t0+int64(40*s), all)
			}
			require.NotContains(t, slots(a), whose{id, 1})
		}
		b.Take(id, l, 4, t0+int64(38*s), all) // apart from each other
		a.Take(id, l, 3, t0+int64(39*s), all)
		now := t0 + int64(40*s)
		handOver(now, a, b)
		require.EqualValues(t, 15, left(b, id, l, now), "swept: %v; 4 and 3, of which 2 are refilled", swept)
	}
}

// Many takes and refunds at one instant leave versions in order, and knowledge exact.
func TestVersionsOfABucket(t *testing.T) {
	id, l := idIn(5, 0), bucket(MaxQuota, MaxQuota, 0)
	a, b := NewLedger(1, 100), NewLedger(2, 100)
	last := uint64(0)
	for n := range 3 << tokenShift / 2 { // more refunds than there are versions between two counts
		a.Take(id, l, 5, t0, all)
		a.Give(id, l, 1, t0)
		if v := slotOf2(a, id); n > 0 {
			require.Greater(t, v, last)
			last = v
		}
	}
	handOver(t0, a, b)
	b.Take(id, l, 1, t0, all)
	require.Equal(t, int64(MaxQuota)-3<<tokenShift/2*4-1, left(b, id, l, t0))
}

// slotOf2 is the version of the own slot, read cheaply.
func slotOf2(g *Ledger, id ID) uint64 {
	return g.parts[id.Partition()].entryOf(ref{id, 0}).version
}

func TestLagIsRoundedDown(t *testing.T) {
	r := rand.New(rand.NewPCG(53, 54))
	for _, ns := range []int64{0, 1, 1<<lagBits - 1, 1 << lagBits, int64(2 * MaxWindow)} {
		require.LessOrEqual(t, unpackLag(packLag(ns)), ns)
	}
	require.Zero(t, packLag(-5))
	for range 10_000 {
		ns := magnitude(r, 2*int64(MaxWindow))
		got := unpackLag(packLag(ns))
		require.LessOrEqual(t, got, ns)
		require.LessOrEqual(t, ns-got, ns>>(lagBits-1))
		require.GreaterOrEqual(t, unpackLag(int32(r.Uint32())), int64(0), "forged")
	}
}

// Joining what several processes know allocates nothing, nor does noting it.
func TestNoAllocationsWithOthers(t *testing.T) {
	id, l := idIn(5, 0), bucket(1_000_000, time.Hour, 0)
	g := NewLedger(1, 100)
	for o := range Origin(3) {
		other := NewLedger(2+o, 100)
		other.Take(id, l, 1, t0, all)
		handOver(t0, other, g)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { g.TakeHeld(id, l, 0, t0, all) }), "the least of several accounts")
	require.Zero(t, testing.AllocsPerRun(100, func() { g.TakeHeld(id, l, 1, t0, all) }), "one that knows all")
	require.Zero(t, testing.AllocsPerRun(100, func() { g.TakeHeld(id, l, 1, t0, Share{1, 2}) }), "a share")
	require.Zero(t, testing.AllocsPerRun(100, func() { g.GiveHeld(id, l, 1, t0) }))
}
