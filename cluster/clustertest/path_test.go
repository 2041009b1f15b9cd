package clustertest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// A decision says by which way it came: by the budget's owner, by another node's word, from
// a lease, from memory, or without the owner.
func TestPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lab := clustertest.New(t, 3, clustertest.Options{})
		take := func(node int, key string, l limiter.Limit) limiter.Decision {
			d, err := lab.Node(node).Take(t.Context(), key, l, 1)
			require.NoError(t, err)
			return d
		}
		l := limiter.Limit{Quota: 3, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		var paths []limiter.Path
		for i := range 3 {
			paths = append(paths, take(i, "key", l).Path)
		}
		assert.ElementsMatch(t, []limiter.Path{limiter.PathHeld, limiter.PathForwarded, limiter.PathForwarded}, paths)
		for i, was := range paths {
			first, again := take(i, "key", l), take(i, "key", l)
			require.False(t, first.Allowed || again.Allowed)
			assert.Equal(t, was, first.Path, "the first denial")
			if was == limiter.PathForwarded {
				was = limiter.PathRemembered
			}
			assert.Equal(t, was, again.Path, "the second denial")
		}

		leased := limiter.Limit{Quota: 100_000, Window: 24 * time.Hour, Lease: limiter.LeaseAlways}
		seen := map[limiter.Path]bool{}
		for range 50 {
			for i := range 3 {
				seen[take(i, "hot", leased).Path] = true
			}
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, map[limiter.Path]bool{limiter.PathHeld: true, limiter.PathForwarded: true, limiter.PathLeased: true}, seen)

		lab.Split([]int{0}, []int{1, 2})
		degraded := 0
		for i := range 40 {
			d := take(0, fmt.Sprint("other", i), l)
			assert.Equal(t, d.Degraded, d.Path == limiter.PathDegraded)
			if d.Degraded {
				degraded++
			}
		}
		assert.Positive(t, degraded)
	})
}
