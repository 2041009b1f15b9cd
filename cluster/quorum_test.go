package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// Without voters nobody can say what a majority is, so nobody is admitted.
func TestNoVoters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := lab(t)
		n, err := startOn(t, nw.Host("a", "127.1.0.1"), "a", t.Output(), func(*Config) {})
		require.NoError(t, err)
		l := limiter.Limit{Quota: 1, Window: time.Minute, Split: limiter.SplitQuorum}
		_, err = n.Take(t.Context(), "k", l, 1)
		require.ErrorIs(t, err, ErrNoVoters)
		_, err = n.Take(t.Context(), "k", limiter.Per(1, time.Minute), 1)
		require.NoError(t, err, "of other limits it is no matter")
	})
}

// A node that is its only voter agrees with itself, at once.
func TestOneVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := lab(t)
		n, err := startOn(t, nw.Host("a", "127.1.0.1"), "a", t.Output(), func(c *Config) { c.Voters = []string{"a"} })
		require.NoError(t, err)
		synctest.Wait()
		require.True(t, n.Stats().Votes)
		l := limiter.Limit{Quota: 2, Window: time.Minute, Split: limiter.SplitQuorum}
		for k := range 3 {
			d, err := n.Take(t.Context(), "k", l, 1)
			require.NoError(t, err)
			require.Equal(t, k < 2, d.Allowed)
			require.False(t, d.Degraded)
		}
	})
}
