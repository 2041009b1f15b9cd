package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// After a reset nothing is taken, whoever counted what; and others who hear of it agree, also
// with what was taken since.
func TestResetMakesWhole(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		id, lim := ID{1, 2}, Limit{Quota: 100, Window: time.Hour, Burst: 0, Algorithm: a}
		left := func(l *Ledger, now int64) int64 { return l.Take(id, lim, 0, now, Share{}).Remaining }
		now := int64(MaxWindow)
		one, two := NewLedger(1, 100), NewLedger(2, 100)
		for _, l := range []*Ledger{one, two} {
			setHolders(l, id.Partition(), 1, 1)
		}
		move := func(from, to *Ledger) {
			from.Collect(id.Partition(), 0, 10, now, func(s Slot) { to.Merge(s, now, 0) })
		}
		require.True(t, one.Take(id, lim, 40, now, Share{}).Allowed)
		move(one, two)
		now += int64(time.Second)
		require.True(t, two.Take(id, lim, 60, now, Share{}).Allowed, "%v", a)
		if a == SlidingWindow { // what is taken now weighs in the next window
			now = windowEnd(id, int64(lim.Window), now) + int64(time.Minute)
			require.True(t, two.Take(id, lim, 1, now, Share{}).Allowed)
		}
		require.Less(t, left(two, now), int64(10), "%v", a)

		two.Reset(id, lim, now)
		require.EqualValues(t, 100, left(two, now), "%v", a)
		require.True(t, two.Take(id, lim, 7, now, Share{}).Allowed)
		move(two, one)
		require.EqualValues(t, 93, left(one, now), "%v", a)
		move(one, two)
		require.EqualValues(t, 93, left(two, now), "%v", a)
		one.Reset(id, lim, now)
		move(one, two)
		require.EqualValues(t, 100, left(two, now), "%v", a)
		checkBooks(t, one)
		checkBooks(t, two)
	}
}

// What nobody took from leaves no trace when it is reset.
func TestResetOfNothing(t *testing.T) {
	l, now := NewLedger(1, 100), int64(MaxWindow)
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		l.Reset(ID{1, 2}, Limit{Quota: 100, Window: time.Hour, Algorithm: a}, now)
	}
	require.Zero(t, entries(l))
}

// A bucket that was counted under a share is full as well, and has no pace left.
func TestResetEndsThePaceOfAShare(t *testing.T) {
	id, lim, now := ID{1, 2}, Limit{Quota: 100, Window: time.Hour, Algorithm: TokenBucket}, int64(MaxWindow)
	l, half := NewLedger(1, 100), Share{Seen: 1, Known: 2}
	require.True(t, l.Take(id, lim, 50, now, half).Allowed)
	require.False(t, l.Take(id, lim, 1, now, half).Allowed)
	l.Reset(id, lim, now)
	require.EqualValues(t, 50, l.Take(id, lim, 0, now, half).Remaining)
	checkBooks(t, l)
}

// Only who decides for the partition resets what it holds.
func TestResetHeld(t *testing.T) {
	id, lim, now := ID{1, 2}, per(10, time.Hour), int64(MaxWindow)
	l := NewLedger(1, 100)
	require.True(t, l.Take(id, lim, 10, now, Share{}).Allowed)
	l.Hold(id.Partition(), false)
	require.False(t, l.ResetHeld(id, lim, now))
	require.Zero(t, l.Take(id, lim, 0, now, Share{}).Remaining)
	l.Hold(id.Partition(), true)
	require.True(t, l.ResetHeld(id, lim, now))
	require.EqualValues(t, 10, l.Take(id, lim, 0, now, Share{}).Remaining)
}
