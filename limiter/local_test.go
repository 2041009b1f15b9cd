package limiter

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// In real use, with the real clock: who waits exactly as told is admitted.
func TestLocalInTime(t *testing.T) {
	for _, lim := range []Limit{Per(3, time.Minute), sliding(3, time.Minute), bucket(3, time.Minute, 0)} {
		synctest.Test(t, func(t *testing.T) {
			l := NewLocal(Config{})
			take := func(cost int64) Decision {
				d, err := l.Take(t.Context(), "key", lim, cost)
				require.NoError(t, err)
				return d
			}
			for range 20 {
				for take(1).Allowed {
				}
				d := take(2)
				require.Positive(t, d.RetryAfter, "%v", lim.Algorithm)
				time.Sleep(d.RetryAfter - 1)
				require.False(t, take(2).Allowed, "%v: a nanosecond less", lim.Algorithm)
				time.Sleep(time.Nanosecond)
				require.True(t, take(2).Allowed, "%v: exactly RetryAfter", lim.Algorithm)
			}
			time.Sleep(2 * time.Minute)
			require.EqualValues(t, 3, take(0).Remaining)
		})
	}
}

// The first window may begin before the limiter does.
func TestLocalStartsWithinAWindow(t *testing.T) {
	now := stopped()
	l := NewLocal(Config{Now: func() time.Time { return now }})
	for _, lim := range []Limit{Per(1, MaxWindow), sliding(1, MaxWindow), bucket(1, MaxWindow, 0)} {
		d, err := l.Take(t.Context(), "key", lim, 1)
		require.NoError(t, err)
		require.True(t, d.Allowed)
		now = now.Add(-time.Hour) // and clocks may be put back
		d, err = l.Take(t.Context(), "key", lim, 1)
		require.NoError(t, err)
		require.False(t, d.Allowed)
	}
}

// Two limiters have nothing in common, nor do two keys.
func TestLocalsAndKeysAreApart(t *testing.T) {
	a, b, lim := NewLocal(Config{Now: stopped}), NewLocal(Config{Now: stopped}), Per(1, time.Minute)
	for range 2 {
		for _, key := range []string{"x", "y"} {
			for _, l := range []*Local{a, b} {
				before := l.Stats().Keys
				d, err := l.Take(t.Context(), key, lim, 1)
				require.NoError(t, err)
				require.Equal(t, l.Stats().Keys == before+1, d.Allowed)
			}
		}
	}
	require.EqualValues(t, 2, a.Stats().Keys)
	require.Positive(t, a.Stats().Bytes)
	require.NotEqual(t, a.hasher, b.hasher, "an outsider could learn one's ids from another's")
}

// MaxKeys is that of the configuration, or the default.
func TestLocalMaxKeys(t *testing.T) {
	l := NewLocal(Config{MaxKeys: 2, Now: stopped})
	for _, key := range []string{"a", "b", "c", "d"} {
		_, err := l.Take(t.Context(), key, Per(5, time.Minute), 1)
		require.NoError(t, err)
	}
	stats := l.Stats()
	require.Positive(t, stats.Bytes)
	stats.Bytes = 0
	require.Equal(t, Stats{Keys: 2, Evicted: 2}, stats)
	for _, n := range []int{0, -1} {
		require.EqualValues(t, DefaultMaxKeys, Config{MaxKeys: n}.maxKeys())
	}
}
