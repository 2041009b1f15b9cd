package ledger

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartitionSetAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	var s PartitionSet
	want := map[int]bool{}
	for range 3000 {
		part := r.IntN(Partitions)
		if r.IntN(3) == 0 {
			part = []int{0, 63, 64, Partitions - 1}[r.IntN(4)]
		}
		in := r.IntN(2) == 0
		s.set(part, in)
		delete(want, part)
		if in {
			want[part] = true
		}
		require.Equal(t, in, s.Has(part))
		require.Equal(t, len(want), s.Len())
	}
	got := slices.Collect(s.All())
	require.Len(t, got, len(want))
	require.True(t, slices.IsSorted(got))
	for _, part := range got {
		require.True(t, want[part], "%d", part)
	}
	for part := range s.All() {
		require.Equal(t, got[0], part, "goes on after break")
		break
	}
}

// Partitions that share a word change under locks of their own.
func TestPartitionSetAtOnce(t *testing.T) {
	g := NewLedger(1, 10)
	var wg sync.WaitGroup
	for part := range 64 {
		wg.Go(func() {
			for i := range 51 {
				g.Hold(part, i%2 != 0)
			}
		})
	}
	wg.Wait()
	require.Equal(t, Partitions-64, g.Held().Len())
	require.False(t, g.Held().Has(0))
	require.True(t, g.Held().Has(64))
}
