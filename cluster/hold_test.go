package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// Whoever decides, and whoever asks: a denial that a hold causes is tentative, is not
// remembered, and is final when the hold is kept.
func TestHoldFromAnyNode(t *testing.T) {
	// No answer is late on a busy machine, and no window ends while the test runs.
	nodes := startNodes(t, 3, func(c *Config) { c.CallTimeout = 10 * time.Second })
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		lim := limiter.Limit{Quota: 10, Window: 300 * 24 * time.Hour, Algorithm: a, Lease: limiter.LeaseOff}
		for by, holder := range nodes {
			for other := range nodes {
				key := a.String() + string(rune('a'+by)) + string(rune('a'+other))
				take := func() limiter.Decision {
					d, err := nodes[other].Take(t.Context(), key, lim, 1)
					require.NoError(t, err)
					require.False(t, d.Degraded)
					return d
				}
				held, err := holder.Hold(t.Context(), key, lim, 10)
				require.NoError(t, err)
				require.True(t, held.Allowed)
				d := take()
				require.False(t, d.Allowed)
				assert.True(t, d.Tentative)
				assert.Less(t, d.RetryAfter, time.Second)
				require.NoError(t, holder.Refund(t.Context(), key, lim, 10, held.Window))
				require.True(t, take().Allowed, "the denial was not remembered")

				held, err = holder.Hold(t.Context(), key, lim, 9)
				require.NoError(t, err)
				require.True(t, held.Allowed)
				holder.Keep(key, lim, 9, held.Window)
				require.Eventually(t, func() bool { d = take(); return !d.Allowed && !d.Tentative }, 5*time.Second, time.Millisecond)
				assert.Greater(t, d.RetryAfter, 30*time.Second)
			}
		}
	}
}
