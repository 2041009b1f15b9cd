package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The paths of a known key allocate nothing.
func TestNoAllocations(t *testing.T) {
	for _, lim := range []Limit{per(MaxQuota, time.Hour), sliding(MaxQuota, time.Hour), bucket(1_000_000, time.Hour, 0), per(1, time.Hour)} {
		g, id := NewLedger(1, 10), idIn(5, 0)
		g.Take(id, lim, 1, t0, all)
		require.Zero(t, testing.AllocsPerRun(200, func() { g.TakeHeld(id, lim, 1, t0, all) }), "Ledger.TakeHeld, %v", lim)
		require.Zero(t, testing.AllocsPerRun(200, func() { g.GiveHeld(id, lim, 1, t0) }), "Ledger.GiveHeld, %v", lim)
	}

	g := NewLedger(1, 10)
	s := Slot{ID: idIn(5, 0), Origin: 2, At: t5, Cur: 1, Version: 1, Expires: uint32(t5 / 1e9)}
	g.Merge(s, t0, 0)
	news := true
	require.Zero(t, testing.AllocsPerRun(200, func() {
		s.Version++
		news = g.Merge(s, t0, 0) && news
	}))
	require.True(t, news)
}

// A flush that has found its size allocates nothing either.
func TestNoAllocationsInAFlush(t *testing.T) {
	g, l := NewLedger(1, 100), per(MaxQuota, w5)
	setHolders(g, 5, 0b1, 0)
	total := int32(0)
	send := func(s Slot) { total = max(total, s.Cur) }
	flush := func() {
		for n := range 20 {
			g.Take(idIn(5, n), l, 1, t0, all)
		}
		g.Collect(5, 0, 100, t0, send)
	}
	flush()
	require.Zero(t, testing.AllocsPerRun(50, flush))
	require.EqualValues(t, 52, total)
}
