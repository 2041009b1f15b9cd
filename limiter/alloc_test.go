package limiter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The paths of a known key allocate nothing.
func TestNoAllocations(t *testing.T) {
	for _, lim := range []Limit{Per(MaxQuota, time.Hour), sliding(MaxQuota, time.Hour), bucket(1_000_000, time.Hour, 0), Per(1, time.Hour)} {
		l, ctx := NewLocal(Config{}), t.Context()
		take := func() {
			if _, err := l.Take(ctx, "key", lim, 1); err != nil {
				t.Error(err)
			}
		}
		take()
		require.Zero(t, testing.AllocsPerRun(200, take), "Local.Take, %v", lim)
		require.Zero(t, testing.AllocsPerRun(200, func() {
			if err := l.Give(ctx, "key", lim, 1); err != nil {
				t.Error(err)
			}
		}), "Local.Give, %v", lim)
	}
}
