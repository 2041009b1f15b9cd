package ring

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func names(n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("node%d", i)
	}
	return s
}

func mustNew(t testing.TB, members ...string) *Table {
	t.Helper()
	r, err := New(members)
	require.NoError(t, err)
	return r
}

// The placement is a promise between versions: a node that places otherwise would
// disagree with its peers for ever.
func TestPlacementGolden(t *testing.T) {
	var b strings.Builder
	for _, n := range []int{1, 2, 3, 5, 30} {
		r := mustNew(t, names(n)...)
		fmt.Fprintf(&b, "members=%d fingerprint=%016x\n", n, r.Fingerprint())
		for p := 0; p < Partitions; p += 17 {
			fmt.Fprintf(&b, "%d: %d %d %d\n", p, r.Holder(p, 0), r.Holder(p, 1), r.Holder(p, 2))
		}
	}
	const file = "testdata/placement.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String(), "placement changed: old and new nodes would disagree")
}

func TestOrderOfMembersDoesNotMatter(t *testing.T) {
	members := names(20) // node1 and node11: names that are prefixes of each other
	want := mustNew(t, members...)
	for range 20 {
		rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		got := mustNew(t, members...)
		require.Equal(t, want.Fingerprint(), got.Fingerprint())
		require.Equal(t, want.owners, got.owners)
	}
}

// The definition of a successor, checked against its own words.
func TestSuccessorOwnsWhenOwnerIsGone(t *testing.T) {
	for _, n := range []int{2, 3, 5, 8} {
		members := names(n)
		r := mustNew(t, members...)
		for gone, name := range members {
			var rest []string
			for i, m := range members {
				if i != gone {
					rest = append(rest, m)
				}
			}
			after := mustNew(t, rest...)
			i := r.Index(name)
			for p := range Partitions {
				if r.Owner(p) == i {
					require.Equal(t, after.Members()[after.Owner(p)], r.Members()[r.Holder(p, 1)], "n=%d p=%d", n, p)
				}
			}
		}
	}
}

func TestHoldersAreDistinct(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 10} {
		r := mustNew(t, names(n)...)
		for p := range Partitions {
			seen := map[int]bool{}
			for rank := range Ranks {
				h := r.Holder(p, rank)
				if rank >= n {
					require.Equal(t, -1, h)
					continue
				}
				require.False(t, seen[h], "n=%d p=%d rank=%d holder=%d twice", n, p, rank, h)
				require.True(t, h >= 0 && h < n)
				seen[h] = true
			}
		}
	}
}

func TestLoadIsBounded(t *testing.T) {
	for _, n := range []int{2, 3, 5, 10, 30, 100} {
		r := mustNew(t, names(n)...)
		count := make([]int, n)
		for p := range Partitions {
			count[r.Owner(p)]++
		}
		for i, c := range count {
			assert.LessOrEqual(t, float64(c), float64(Partitions)/float64(n)*load+1, "n=%d member=%d", n, i)
		}
	}
}

func TestBadMembers(t *testing.T) {
	for _, c := range []struct {
		members []string
		want    string
	}{
		{nil, "number 0"},
		{[]string{}, "number 0"},
		{[]string{"a", ""}, "empty"},
		{[]string{"a", "b", "a"}, `"a" is there twice`},
		{names(Partitions), "number 1021"},
	} {
		_, err := New(c.members)
		require.ErrorIs(t, err, ErrMembers)
		require.ErrorContains(t, err, c.want)
	}
	_, err := New([]string{"node1", "node11", "node1#", "node"})
	require.NoError(t, err)
}

func TestFingerprintTellsMembersApart(t *testing.T) {
	a, b := mustNew(t, "ab", "c"), mustNew(t, "a", "bc")
	assert.NotEqual(t, a.Fingerprint(), b.Fingerprint())
	assert.Equal(t, -1, a.Index("b"))
	assert.Equal(t, 1, a.Index("c"))
}

func TestConcurrentReaders(t *testing.T) {
	r := mustNew(t, names(8)...)
	want := mustNew(t, names(8)...)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for p := range Partitions {
				assert.Equal(t, want.Holder(p, 2), r.Holder(p, 2))
			}
		})
	}
	wg.Wait()
}

func BenchmarkOwner(b *testing.B) {
	r := mustNew(b, names(5)...)
	p, sum := 0, 0
	for b.Loop() {
		sum += r.Owner(p)
		if p++; p == Partitions {
			p = 0
		}
	}
	_ = sum
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{3, 10, 30, 100} {
		m := names(n)
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			for b.Loop() {
				mustNew(b, m...)
			}
		})
	}
}
