package ring

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rule that is worked out here is the library's: for hundreds of sets of members, of
// any size and with names of any kind, the ring without one member, or two, is what the
// library makes of the others.
func TestWithoutIsTheLibrarysRing(t *testing.T) {
	sets := 300
	if testing.Short() {
		sets = 30
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range sets {
		members := randomMembers(r, 2+r.IntN(1+r.IntN(40)))
		table := mustNew(t, members...)
		a, b := r.IntN(len(members)), none
		if len(members) > 2 && r.IntN(2) == 0 {
			b = (a + 1 + r.IntN(len(members)-1)) % len(members)
		}
		var rest []string
		for i, m := range table.Members() {
			if i != a && i != b {
				rest = append(rest, m)
			}
		}
		want := mustNew(t, rest...)
		d := table.place
		d.loads = make([]uint16, len(members))
		seen := 0
		d.without(len(members), a, b, func(part, owner int) {
			require.Equal(t, seen, part)
			seen++
			require.Equal(t, rest[want.Owner(part)], table.Members()[owner], "%d of %q without %d and %d", part, members, a, b)
		})
		require.Equal(t, Partitions, seen)
	}
}

func randomMembers(r *rand.Rand, n int) []string {
	seen := map[string]bool{}
	for len(seen) < n {
		switch name := r.Uint64(); r.IntN(3) {
		case 0:
			seen[fmt.Sprintf("node%d", name%2000)] = true
		case 1:
			seen[fmt.Sprintf("%x", name)] = true
		default:
			seen[fmt.Sprint(name%50)+":é#"] = true
		}
	}
	members := make([]string, 0, n)
	for m := range seen {
		members = append(members, m)
	}
	return members
}

// What a change of members costs a node: the new table, and all holders of all
// partitions in it.
func BenchmarkHolders(b *testing.B) {
	for _, n := range []int{3, 10, 30, 100, 300} {
		m := names(n)
		for successors := 1; successors <= 2; successors++ {
			b.Run(fmt.Sprintf("members=%d/successors=%d", n, successors), func(b *testing.B) {
				for b.Loop() {
					r := mustNew(b, m...)
					for p := range Partitions {
						for rank := range successors + 1 {
							r.Holder(p, rank)
						}
					}
				}
			})
		}
	}
}
