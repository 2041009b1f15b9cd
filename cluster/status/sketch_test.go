package status

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Against exact counts: no count is too small, none is too large by more than it says, and that is at most
// total/most; every key with more than total/most is there; and the sketch never grows.
func TestSketchAgainstExactCounts(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		most, keys := 1+r.IntN(50), uint64(1+r.IntN(400))
		zipf := rand.NewZipf(r, 1.01+r.Float64(), 1, keys)
		s, exact, total := newSketch(most), map[subject]int64{}, int64(0)
		for range 5000 {
			of, n := subject{fmt.Sprint("rule", r.IntN(2)), zipf.Uint64()}, int64(1+r.IntN(9))
			if r.IntN(3) == 0 {
				of.id = r.Uint64N(keys) // and those that come once in a while
			}
			s.add(of, "", n)
			exact[of] += n
			total += n
		}
		require.Equal(t, total, s.total)
		require.LessOrEqual(t, len(s.heap), most)
		require.Len(t, s.of, len(s.heap))
		bound, sum := total/int64(most), int64(0)
		for i, c := range s.heap {
			require.Same(t, c, s.of[c.subject])
			require.Equal(t, i, c.at)
			sum += c.count
			require.GreaterOrEqual(t, c.count, exact[c.subject], "seed %d", seed)
			require.LessOrEqual(t, c.count-c.over, exact[c.subject], "seed %d", seed)
			require.LessOrEqual(t, c.over, bound, "seed %d", seed)
		}
		require.Equal(t, total, sum)
		for of, n := range exact {
			if n > bound {
				require.Contains(t, s.of, of, "seed %d: %d of %d", seed, n, total)
			}
		}
	}
}

// Two generations together keep the same promises, and the list is in order.
func TestTopOfTwoSketches(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		most := 1 + r.IntN(30)
		all, exact, total := []*sketch{newSketch(most), nil, newSketch(most)}, map[subject]int64{}, int64(0)
		zipf := rand.NewZipf(r, 1.1, 1, 200)
		for i := range 4000 {
			of := subject{"r", zipf.Uint64()}
			all[2*(i%2)].add(of, fmt.Sprint(of.id), 1)
			exact[of]++
			total++
		}
		list := top(10, all...)
		require.NotEmpty(t, list)
		require.LessOrEqual(t, len(list), 10)
		require.True(t, slices.IsSortedFunc(list, compareCounters))
		for _, c := range list {
			require.Equal(t, fmt.Sprint(c.id), c.name)
			require.GreaterOrEqual(t, c.count, exact[c.subject])
			require.LessOrEqual(t, c.count-c.over, exact[c.subject])
			require.LessOrEqual(t, c.over, total/int64(most))
		}
	}
	require.Empty(t, top(10, nil, newSketch(3)))
}
