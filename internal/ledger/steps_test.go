package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// step is one call: a take, a look (cost 0), or a refund (a negative cost), at an
// instant, and the decision that it must give. A limit applies from its step on.
type step struct {
	at    int64
	cost  int64
	want  Decision
	limit Limit
	share Share
}

func ok(left int64, reset time.Duration) Decision {
	return Decision{Allowed: true, Remaining: left, ResetAfter: reset}
}

func no(left int64, reset, retry time.Duration) Decision {
	return Decision{Remaining: left, ResetAfter: reset, RetryAfter: retry}
}

func runSteps(t *testing.T, l Limit, steps []step) {
	t.Helper()
	g := NewLedger(1, 100)
	for i, st := range steps {
		if st.limit.Window != 0 {
			l = st.limit
		}
		require.True(t, valid(l), "step %d", i)
		// The ids of one key under two limits differ as a Hasher makes them differ.
		id := ID{Hi: uint64(l.Window) << 20 * uint64(l.Algorithm), Lo: uint64(l.Window)}
		id.Hi -= id.Hi >> 1 % uint64(l.Window) << 1 // phase 0
		if st.cost < 0 {
			g.Give(id, l, -st.cost, st.at)
			continue
		}
		got := g.Take(id, l, st.cost, st.at, st.share)
		require.Equal(t, st.want, got, "step %d: cost %d at t0+%v", i, st.cost, time.Duration(st.at-t0))
		checkBooks(t, g)
	}
}

func TestFixedWindowSteps(t *testing.T) {
	runSteps(t, per(3, w5), []step{
		{at: t0, cost: 0, want: ok(3, 5*s)}, // a look at an untouched budget
		{at: t0, cost: 1, want: ok(2, 5*s)},
		{at: t1, cost: 2, want: ok(0, 4*s)},
		{at: t1, cost: 0, want: no(0, 4*s, 4*s)}, // a look tells when there is something
		{at: t4, cost: 1, want: no(0, 1*s, 1*s)},
		{at: t5 - 1, cost: 1, want: no(0, 1, 1)}, // the window's last nanosecond
		{at: t5, cost: 2, want: ok(1, 5*s)},
		{at: t6, cost: 2, want: no(1, 4*s, 4*s)}, // 2 do not fit, 1 does
		{at: t6, cost: 1, want: ok(0, 4*s)},
		{at: t9, cost: -2}, // a refund
		{at: t9, cost: 0, want: ok(2, 1*s)},
		{at: t9, cost: -3}, // more than was taken: only that comes back
		{at: t9, cost: 3, want: ok(0, 1*s)},
		{at: t0 + 3*int64(w5), cost: 3, want: ok(0, 5*s)}, // an empty window between
	})
}

func TestSlidingWindowSteps(t *testing.T) {
	runSteps(t, sliding(10, w5), []step{
		{at: t0, cost: 0, want: ok(10, 0)}, // untouched: whole already
		{at: t0, cost: 6, want: ok(4, 10*s)},
		{at: t1, cost: 5, want: no(4, 9*s, 4*s+w5/6+1)}, // 6 weigh 5 when a sixth of the next window is over
		{at: t2, cost: 4, want: ok(0, 8*s)},
		{at: t5, cost: 1, want: no(0, 5*s, s/2)},                           // the last window weighs 10
		{at: t5 + int64(s/2), cost: 1, want: ok(0, 9500*time.Millisecond)}, // now 9
		{at: t6, cost: 0, want: ok(1, 9*s)},                                // 1 + 8
		{at: t6, cost: 9, want: no(1, 9*s, 4*s)},                           // fits when 10 weigh 0
		{at: t6, cost: 10, want: no(1, 9*s, 9*s)},                          // and all when 1 weighs 0
		{at: t7, cost: -5},                                                 // only 1 was taken in this window
		{at: t7, cost: 0, want: ok(4, 3*s)},
		{at: t0 + 3*int64(w5), cost: 10, want: ok(0, 10*s)},
	})
}

func TestTokenBucketSteps(t *testing.T) {
	runSteps(t, bucket(5, w5, 3), []step{ // a token a second, three at most
		{at: t0, cost: 0, want: ok(3, 0)},
		{at: t0, cost: 2, want: ok(1, 2*s)},
		{at: t0, cost: 2, want: no(1, 2*s, 1*s)},
		{at: t1 - 1, cost: 2, want: no(1, 1*s+1, 1)}, // a nanosecond less does not do
		{at: t1, cost: 2, want: ok(0, 3*s)},
		{at: t1, cost: 0, want: no(0, 3*s, 1*s)},
		{at: t3, cost: -1},
		{at: t3, cost: 3, want: ok(0, 3*s)}, // 2 refilled and 1 given back
		{at: t4, cost: -3},                  // at most until it is full
		{at: t4, cost: 0, want: ok(3, 0)},
		{at: t4, cost: -3}, // full already
		{at: t9, cost: 3, want: ok(0, 3*s)},
	})
}

func TestChangedLimits(t *testing.T) {
	t.Run("quota raised and lowered on a spent window", func(t *testing.T) {
		runSteps(t, per(10, w5), []step{
			{at: t0, cost: 10, want: ok(0, 5*s)},
			{at: t1, limit: per(12, w5), cost: 1, want: ok(1, 4*s)},
			{at: t2, limit: per(4, w5), cost: 1, want: no(0, 3*s, 3*s)},
			{at: t3, limit: per(12, w5), cost: 1, want: ok(0, 2*s)},
			{at: t5, limit: per(4, w5), cost: 4, want: ok(0, 5*s)},
		})
	})
	t.Run("lowered on a spent sliding window", func(t *testing.T) {
		runSteps(t, sliding(100, w5), []step{
			{at: t0, cost: 100, want: ok(0, 10*s)},
			{at: t0, limit: sliding(10, w5), cost: 1, want: no(0, 10*s, 5500*time.Millisecond)},
			{at: t0 + int64(5500*time.Millisecond), cost: 1, want: ok(0, 9500*time.Millisecond)},
		})
	})
	t.Run("quota lowered on a spent bucket: slower, not emptier", func(t *testing.T) {
		runSteps(t, bucket(10, 10*s, 0), []step{
			{at: t0, cost: 5, want: ok(5, 5*s)},
			{at: t0, limit: bucket(2, 10*s, 0), cost: 0, want: ok(1, 5*s)},
			{at: t0, cost: 1, want: ok(0, 10*s)},
			{at: t0, limit: bucket(10, 10*s, 0), cost: 1, want: no(0, 10*s, 1*s)},
		})
	})
	t.Run("burst lowered on a spent bucket: the wait is the true one", func(t *testing.T) {
		runSteps(t, bucket(5, w5, 8), []step{
			{at: t0, cost: 8, want: ok(0, 8*s)},
			{at: t0, limit: bucket(5, w5, 2), cost: 1, want: no(0, 8*s, 7*s)},
			{at: t7 - 1, cost: 1, want: no(0, 1*s+1, 1)},
			{at: t7, cost: 1, want: ok(0, 2*s)},
		})
	})
	t.Run("another window or algorithm is another budget", func(t *testing.T) {
		runSteps(t, per(3, w5), []step{
			{at: t0, cost: 3, want: ok(0, 5*s)},
			{at: t0, limit: per(3, 10*s), cost: 3, want: ok(0, 10*s)},
			{at: t0, limit: sliding(3, w5), cost: 3, want: ok(0, 10*s)},
			{at: t0, limit: bucket(3, 3*s, 0), cost: 3, want: ok(0, 3*s)},
			{at: t0, limit: per(3, w5), cost: 1, want: no(0, 5*s, 5*s)},
		})
	})
}

func TestShareOfASplit(t *testing.T) {
	two := Share{Seen: 2, Known: 5}
	runSteps(t, per(10, w5), []step{
		{at: t0, cost: 3, want: ok(1, 5*s), share: two},
		{at: t0, cost: 2, want: no(1, 5*s, 5*s), share: two},
		{at: t0, cost: 5, want: no(1, 5*s, 5*s), share: two}, // more than the share can ever be
		{at: t0, cost: 6, want: ok(1, 5*s)},                  // healed
		{at: t0, cost: 1, want: no(0, 5*s, 5*s), share: two},
		{at: t0, cost: 1, want: no(0, 5*s, 5*s), share: Share{Seen: 0, Known: 3}},
		{at: t0, cost: 1, want: ok(0, 5*s), share: Share{Seen: 3, Known: 3}},
	})
	runSteps(t, bucket(10, 10*s, 5), []step{ // two of five: 4 per 10 s, 2 at once
		{at: t0, cost: 2, want: ok(0, 5*s), share: two},
		{at: t0, cost: 1, want: no(0, 5*s, 2500*time.Millisecond), share: two},
		{at: t0, cost: 1, want: no(0, 5*s, 10*s), share: Share{Seen: 1, Known: 6}}, // a share of nothing
	})
	runSteps(t, sliding(10, w5), []step{
		{at: t0, cost: 4, want: ok(0, 10*s), share: two},
		{at: t0, cost: 5, want: no(0, 10*s, 5*s), share: two},
		{at: t0, cost: 6, want: ok(0, 10*s)},
	})
}

// A refund of more than is owed fills a bucket to the brim and not beyond.
func TestGiveFillsToTheBrim(t *testing.T) {
	g, id, l := NewLedger(1, 10), idIn(5, 0), bucket(5, w5, 3)
	g.Take(id, l, 1, t0, all)
	g.Give(id, l, 3, t0)
	require.Equal(t, t0, slotOf(t, g, id, 1).At)
	g.Give(idIn(5, 1), l, 3, t0) // nothing was taken: nothing to store
	g.Give(idIn(5, 2), per(5, w5), 3, t0)
	require.Len(t, slots(g), 1)
}

func TestTimePutBackALittle(t *testing.T) {
	runSteps(t, per(3, w5), []step{
		{at: t4, cost: 1, want: ok(2, 1*s)},
		{at: t6, cost: 1, want: ok(2, 4*s)},
		{at: t4, cost: 0, want: ok(1, 1*s)}, // what is in the next window counts here too
		{at: t4, cost: 1, want: ok(0, 1*s)},
		{at: t4, cost: 1, want: no(0, 1*s, 1*s)},
		{at: t6, cost: 1, want: ok(0, 4*s)}, // the one of the second t4 was counted there
	})
	runSteps(t, bucket(5, w5, 3), []step{
		{at: t2, cost: 1, want: ok(2, 1*s)},
		{at: t1, cost: 1, want: ok(0, 3*s)},
		{at: t1, cost: 2, want: no(0, 3*s, 2*s)},
	})
}
