package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is returned where nothing is known of the budget is right in the sum, in
// whatever order the slots meet.
func TestReturnBeforeTheCountIsKnown(t *testing.T) {
	id, lim := ID{1, 2}, per(10, time.Hour)
	now := int64(MaxWindow)
	counts, returns := NewLedger(1, 100), NewLedger(2, 100)
	require.True(t, counts.Take(id, lim, 8, now, Share{}).Allowed)
	end := windowEnd(id, int64(lim.Window), now)
	for _, other := range []int64{end - int64(time.Hour), end + int64(time.Hour)} {
		returns.Return(id, lim, 5, now, other)
		require.Zero(t, entries(returns), "counted in another window")
	}
	returns.Return(id, lim, 5, now, end+int64(time.Minute))
	require.EqualValues(t, 10, returns.Take(id, lim, 0, now, Share{}).Remaining, "never more than the quota")
	for _, l := range []*Ledger{counts, returns} {
		setHolders(l, id.Partition(), 1, 1)
	}
	move := func(from, to *Ledger) {
		from.Collect(id.Partition(), 0, 10, now, func(s Slot) { to.Merge(s, now, 0) })
	}
	move(counts, returns)
	move(returns, counts)
	for _, l := range []*Ledger{counts, returns} {
		require.EqualValues(t, 7, l.Take(id, lim, 0, now, Share{}).Remaining)
	}
}
