package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/tally"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// What a process is asked again it does not count again, and what is taken back is taken
// back once, by whoever may.
func TestCountedOnce(t *testing.T) {
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		n := startNodes(t, 1, nil)[0]
		l := limiter.Limit{Quota: 10, Window: 24 * time.Hour, Algorithm: a}
		id := n.id("key", &l)
		left := func() int64 {
			d, err := n.Take(t.Context(), "key", l, 0)
			require.NoError(t, err)
			return d.Remaining
		}
		take := func(number uint64) (limiter.Decision, *takeCall) {
			c := &takeCall{Take: wire.Take{ID: id, Limit: l, Cost: 3, Number: number, Asker: 5}, tally: n.tallies.Of(5, 0)}
			d, ok := n.takeOnce(n.view.Load(), n.awake(), c)
			require.True(t, ok)
			return d, c
		}
		d, c := take(1)
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, left())
		u := wire.Undone{ID: id, Limit: l, Cost: 3, Number: 1, Asker: 5, Window: c.Window}
		require.True(t, n.forget(&u, false), "a node that passed it on")
		require.EqualValues(t, 10, left())
		require.False(t, n.forget(&u, false), "once")
		require.EqualValues(t, 10, left())

		d, _ = take(1) // somebody else passes it on
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, left())
		d, _ = take(1)
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, d.Remaining)
		require.EqualValues(t, 7, left(), "not again")
		n.ledger.Hold(id.Partition(), false)
		d = n.takeForced(c, n.awake(), ledger.Share{})
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, d.Remaining, "as the copies say, where another holds it by now")
		require.Positive(t, d.ResetAfter)
		n.ledger.Hold(id.Partition(), true)
		require.False(t, n.forget(&u, false), "another node was told, too")
		require.EqualValues(t, 7, left())
		require.True(t, n.forget(&u, true), "the asker knows")
		require.EqualValues(t, 10, left())
		d, _ = take(1)
		require.False(t, d.Allowed, "it was held up, and nobody waits for it")
		require.EqualValues(t, 10, left())

		for number := range uint64(3) {
			d, _ = take(10 + number)
			require.True(t, d.Allowed)
		}
		d, _ = take(20)
		require.False(t, d.Allowed)
		require.Equal(t, tally.Uncounted, n.tallies.Of(5, 0).At(20), "a denial leaves nothing")
	}
}

// A request that was passed on may arrive before that of its asker, whose answer then names
// the window to take it back from all the same.
func TestPassedOnFirst(t *testing.T) {
	n := startNodes(t, 1, nil)[0]
	l := limiter.Per(10, 24*time.Hour)
	id := n.id("key", &l)
	var answers []*takeCall
	for _, flags := range []uint8{wire.Passed, 0} {
		c := &takeCall{Take: wire.Take{ID: id, Limit: l, Cost: 3, Number: 1, Asker: 5, Flags: flags}, tally: n.tallies.Of(5, 0)}
		d, ok := n.takeOnce(n.view.Load(), n.awake(), c)
		require.True(t, ok && d.Allowed)
		answers = append(answers, c)
	}
	require.NotZero(t, answers[0].Window)
	require.Equal(t, answers[0].Window, answers[1].Window)
	require.True(t, n.forget(&wire.Undone{ID: id, Limit: l, Cost: 3, Number: 1, Asker: 5, Window: answers[1].Window}, true))
	d, err := n.Take(t.Context(), "key", l, 0)
	require.NoError(t, err)
	require.EqualValues(t, 10, d.Remaining)
}
