package limiter

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An error says which of the three it is, and names the field and its value.
func TestInvalidArguments(t *testing.T) {
	good := Per(10, time.Minute)
	for _, c := range []struct {
		key  string
		l    Limit
		cost int64
		err  error
		says string
	}{
		{"k", Limit{}, 1, ErrLimit, "Quota 0"},
		{"k", Per(-3, time.Minute), 1, ErrLimit, "Quota -3"},
		{"k", Per(MaxQuota+1, time.Minute), 1, ErrLimit, "Quota 2147483648"},
		{"k", Per(1, 0), 1, ErrLimit, "Window 0s"},
		{"k", Per(1, time.Millisecond-1), 1, ErrLimit, "Window 999.999µs"},
		{"k", Per(1, MaxWindow+1), 1, ErrLimit, "Window 8784h0m0.000000001s"},
		{"k", Per(1, -time.Second), 1, ErrLimit, "Window -1s"},
		{"k", Limit{Quota: 1, Window: time.Second, Algorithm: 3}, 1, ErrLimit, "Algorithm 3"},
		{"k", Limit{Quota: 1, Window: time.Second, Split: 4}, 1, ErrLimit, "Split 4"},
		{"k", Limit{Quota: 1, Window: time.Second, Lease: 3}, 1, ErrLimit, "Lease 3"},
		{"k", Limit{Quota: 1, Window: time.Second, Burst: 5}, 1, ErrLimit, "Burst 5 is only for TokenBucket, not for fixed-window"},
		{"k", Limit{Quota: 1, Window: time.Second, Burst: 5, Algorithm: SlidingWindow}, 1, ErrLimit, "sliding-window"},
		{"k", bucket(1, time.Second, -5), 1, ErrLimit, "Burst -5"},
		{"k", bucket(1, time.Second, MaxQuota+1), 1, ErrLimit, "Burst 2147483648"},
		{"k", bucket(2_000_000, time.Millisecond, 0), 1, ErrLimit, "Quota 2000000 in Window 1ms"},
		{"k", bucket(1, MaxWindow, 2), 1, ErrLimit, "Burst 2 takes longer than"},
		{"", good, 1, ErrKey, "0 bytes"},
		{strings.Repeat("k", MaxKeyLen+1), good, 1, ErrKey, "1025 bytes"},
		{"k", good, -1, ErrCost, "Cost -1"},
		{"k", good, 11, ErrCost, "Cost 11 can never fit into a limit of 10"},
		{"k", bucket(10, time.Minute, 3), 4, ErrCost, "Cost 4 can never fit into a limit of 3"},
	} {
		l := NewLocal(Config{})
		_, err := l.Take(t.Context(), c.key, c.l, c.cost)
		require.ErrorIs(t, err, c.err, "%+v", c)
		require.ErrorContains(t, err, c.says)
		require.ErrorContains(t, err, "limiter: ")
		require.Equal(t, err, l.Give(t.Context(), c.key, c.l, c.cost))
		for _, other := range []error{ErrLimit, ErrKey, ErrCost} {
			require.Equal(t, other == c.err, assert.ObjectsAreEqual(other, c.err))
			if other != c.err {
				require.NotErrorIs(t, err, other)
			}
		}
		require.Zero(t, l.Stats(), "something was stored for %+v", c)
	}
}

func TestValidBounds(t *testing.T) {
	for _, l := range []Limit{
		Per(1, MinWindow), Per(MaxQuota, MaxWindow), sliding(MaxQuota, MaxWindow),
		bucket(1_000_000, time.Millisecond, 0), bucket(1, MaxWindow, 1),
		{Quota: 1, Window: time.Second, Split: SplitQuorum},
	} {
		require.NoError(t, Check(strings.Repeat("k", MaxKeyLen), l, l.Capacity()), "%+v", l)
		require.NoError(t, Check("k", l, 0))
	}
}

// A context that is over takes nothing, but bad arguments are told first.
func TestDoneContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := NewLocal(Config{})
	_, err := l.Take(ctx, "k", Per(1, time.Minute), 1)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, l.Give(ctx, "k", Per(1, time.Minute), 1), context.Canceled)
	_, err = l.Take(ctx, "k", Per(0, time.Minute), 1)
	require.ErrorIs(t, err, ErrLimit)
	require.Zero(t, l.Stats())
}

func TestNames(t *testing.T) {
	for want, v := range map[string]fmt.Stringer{
		"fixed-window": FixedWindow, "sliding-window": SlidingWindow, "token-bucket": TokenBucket, "Algorithm(9)": Algorithm(9),
		"default": SplitDefault, "full": SplitFull, "share": SplitShare, "quorum": SplitQuorum, "Split(9)": Split(9),
		"auto": LeaseAuto, "off": LeaseOff, "always": LeaseAlways, "Lease(9)": Lease(9),
	} {
		assert.Equal(t, want, v.String())
	}
}

// No two lists of parts that look alike when joined give one key.
func TestKeysDoNotRunTogether(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"\x01a"}, {"a\x01b"}, {"a", "\x01b"},
		{strings.Repeat("x", 127)}, {strings.Repeat("x", 128)}, {strings.Repeat("x", 127), "x"}, {"\x80\x01" + strings.Repeat("x", 128)},
	} {
		key := Key(parts...)
		require.NotContains(t, seen, key, "%q and %q", parts, seen[key])
		seen[key] = parts
	}
}

// The expression that settles nearly every limit says what the words of the rest say.
func TestCheckIsItsWords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	near := func(of ...int64) int64 { return of[r.IntN(len(of))] + r.Int64N(5) - 2 }
	good := 0
	for range 200_000 {
		l := Limit{
			Algorithm: Algorithm(r.IntN(4)), Split: Split(r.IntN(5)), Lease: Lease(r.IntN(4)),
			Quota:  near(0, 10, 1_000_000, MaxQuota, math.MinInt64+2),
			Window: time.Duration(near(0, int64(MinWindow), int64(time.Hour), int64(MaxWindow))),
			Burst:  near(0, 10, int64(MaxWindow/time.Hour), MaxQuota) * int64(r.IntN(2)),
		}
		key, cost := strings.Repeat("k", int(max(0, near(0, 10, MaxKeyLen)))), near(0, l.Quota, l.Burst)
		slow := checkSlow(key, l, cost)
		require.Equal(t, slow, check(key, &l, cost), "%+v", l)
		if slow == nil {
			good++
		}
	}
	require.Greater(t, good, 100)
}

func TestConstructors(t *testing.T) {
	assert.Equal(t, Limit{Quota: 5, Window: time.Minute}, Per(5, time.Minute))
	assert.Equal(t, Limit{Quota: 5, Window: time.Minute, Algorithm: SlidingWindow}, Sliding(5, time.Minute))
	assert.Equal(t, Limit{Quota: 5, Window: time.Minute, Burst: 2, Algorithm: TokenBucket}, Bucket(5, time.Minute, 2))
	assert.Equal(t, int64(5), Bucket(5, time.Minute, 0).Capacity())
}
