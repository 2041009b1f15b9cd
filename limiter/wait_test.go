package limiter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counter is a Taker that counts how often it is asked.
type counter struct {
	*Local
	mu    sync.Mutex
	takes int
}

func (c *counter) Take(ctx context.Context, key string, l Limit, cost int64) (Decision, error) {
	c.mu.Lock()
	c.takes++
	c.mu.Unlock()
	return c.Local.Take(ctx, key, l, cost)
}

// queueUp has n wait, one after the other a microsecond apart, and returns who was admitted after
// what time, in that order.
func queueUp(t *testing.T, k Taker, l Limit, n int) (order []int, after []time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	began := time.Now()
	for i := range n {
		wg.Go(func() {
			d, err := Wait(t.Context(), k, "key", l, 1)
			mu.Lock()
			defer mu.Unlock()
			assert.NoError(t, err)
			assert.True(t, d.Allowed)
			order, after = append(order, i), append(after, time.Since(began))
		})
		time.Sleep(time.Microsecond)
	}
	wg.Wait()
	return order, after
}

// Of a bucket all are admitted in the order in which they came, each when its token is there,
// by one question each. The queue is in the budget: who does not wait is denied meanwhile,
// and told how long.
func TestWaitBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &counter{Local: NewLocal(Config{})}
		l := Bucket(10, time.Second, 3)
		time.AfterFunc(2*time.Second+time.Millisecond/2, func() {
			d, _ := k.Local.Take(t.Context(), "key", l, 1)
			assert.False(t, d.Allowed)
			assert.InDelta(t, 7799, d.RetryAfter.Milliseconds(), 1)
		})
		order, after := queueUp(t, k, l, 100)
		assert.True(t, slices.IsSorted(order))
		for i, at := range after {
			want := time.Duration(max(0, i-2)) * 100 * time.Millisecond
			assert.InDelta(t, want, at, float64(time.Millisecond), "the %dth", i)
		}
		assert.Equal(t, 100, k.takes)
	})
}

// Of windows all are admitted in the order of windows, none of which admits more than it has.
func TestWaitWindow(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		takes int // at most
		late  int // places by which somebody is admitted later than who came after it, at most
	}{
		{Per(10, time.Second), 320, 10},
		{Per(1, time.Second), 410, 2},
		{Sliding(10, time.Second), 320, 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := &counter{Local: NewLocal(Config{})}
			time.Sleep(300 * time.Millisecond)
			order, after := queueUp(t, k, c.limit, 100)
			t.Logf("%v: %d takes for 100 admitted", c.limit, k.takes)
			assert.LessOrEqual(t, k.takes, c.takes, "%v", c.limit)
			for i, who := range order {
				assert.LessOrEqual(t, i-who, c.late, "%v: %v", c.limit, order)
			}
			most := time.Duration(100/c.limit.Quota+3) * c.limit.Window
			assert.LessOrEqual(t, after[99], most, "%v", c.limit)
		})
	}
}

// Who waits for tomorrow's quota gets it at midnight.
func TestWaitForMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, l := &counter{Local: NewLocal(Config{})}, Daily(2, "")
		time.Sleep(20 * time.Hour)
		_, after := queueUp(t, k, l, 5)
		assert.InDelta(t, 4*time.Hour, after[2], float64(time.Second))
		assert.InDelta(t, 28*time.Hour, after[4], float64(time.Second))
		assert.LessOrEqual(t, k.takes, 15)
	})
}

// Where the context has no time, nothing is waited for and nothing taken, and the answer tells
// how long it would have been.
func TestWaitTooLong(t *testing.T) {
	for _, l := range []Limit{Bucket(1, time.Second, 1), Per(1, time.Second), Sliding(1, time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			k := NewLocal(Config{})
			_, err := Wait(t.Context(), k, "key", l, 1)
			require.NoError(t, err)
			first, _ := k.Take(t.Context(), "key", l, 0)
			ctx, cancel := context.WithTimeout(t.Context(), first.RetryAfter-1)
			defer cancel()
			began := time.Now()
			d, err := Wait(ctx, k, "key", l, 1)
			require.ErrorIs(t, err, ErrWait)
			assert.Equal(t, began, time.Now())
			assert.Equal(t, first.RetryAfter, d.RetryAfter)
			assert.False(t, d.Allowed)
			_, err = Wait(t.Context(), k, "key", l, 1)
			require.NoError(t, err)
			assert.InDelta(t, first.RetryAfter, time.Since(began), float64(orderMax), "who did not wait is not in the way")
		})
	}
}

// A queue that is longer than the context is known beforehand as well.
func TestWaitBehindOthers(t *testing.T) {
	for _, l := range []Limit{Bucket(1, time.Second, 1), Per(1, time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			k := NewLocal(Config{})
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					_, err := Wait(t.Context(), k, "key", l, 1)
					assert.NoError(t, err)
				})
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := Wait(ctx, k, "key", l, 1)
			require.ErrorIs(t, err, ErrWait)
			assert.Equal(t, began, time.Now())
			wg.Wait()
		})
	}
}

// Who has just time enough waits, also where that is no whole number of tokens.
func TestWaitJustLongEnough(t *testing.T) {
	for _, l := range []Limit{Bucket(1, time.Second, 1), Bucket(3, time.Second, 2), Per(2, time.Second), Sliding(2, time.Second)} {
		synctest.Test(t, func(t *testing.T) {
			k := NewLocal(Config{})
			for range l.Capacity() + 2 {
				go func() { _, _ = Wait(t.Context(), k, "key", l, 1) }()
			}
			time.Sleep(123 * time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 0)
			told, err := Wait(ctx, k, "key", l, 1)
			cancel()
			require.Error(t, err)
			if told.RetryAfter == 0 { // the context had ended
				ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
				told, err = Wait(ctx, k, "key", l, 1)
				cancel()
				require.ErrorIs(t, err, ErrWait)
			}
			ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			began := time.Now()
			_, err = Wait(ctx, k, "key", l, 1)
			require.NoError(t, err, "%v", l)
			if l.Algorithm == TokenBucket {
				assert.Equal(t, told.RetryAfter, time.Since(began), "%v: as long as was told", l)
			}
			time.Sleep(3 * time.Second)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		k, l := NewLocal(Config{}), Bucket(1, time.Second, 1)
		_, err := Wait(t.Context(), k, "key", l, 1)
		require.NoError(t, err)
		time.Sleep(600 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err = Wait(ctx, k, "key", l, 1)
		require.NoError(t, err, "a token that comes in 400 ms")
	})
}

// Who gives up leaves its place to those who come later, unless somebody stands behind it: whose
// turn does not move, so that no more are admitted than there are tokens.
func TestWaitGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, l := NewLocal(Config{}), Bucket(1, time.Second, 1)
		_, err := Wait(t.Context(), k, "key", l, 1)
		require.NoError(t, err)
		quit := func(behind int) time.Duration {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := Wait(ctx, k, "key", l, 1)
				assert.ErrorIs(t, err, context.Canceled)
			})
			time.Sleep(time.Microsecond)
			for range behind {
				wg.Go(func() { _, _ = Wait(t.Context(), k, "key", l, 1) })
			}
			time.Sleep(time.Millisecond)
			cancel()
			synctest.Wait()
			d, _ := k.Take(t.Context(), "key", l, 0)
			wg.Wait()
			return d.ResetAfter
		}
		assert.InDelta(t, time.Second, quit(0), float64(2*time.Millisecond), "nobody behind")
		_, err = Wait(t.Context(), k, "key", l, 1)
		require.NoError(t, err)
		assert.InDelta(t, 3*time.Second, quit(1), float64(2*time.Millisecond), "somebody behind")
	})
}

// What cannot be is told at once, by the limiter's own errors.
func TestWaitErrors(t *testing.T) {
	k := NewLocal(Config{})
	_, err := Wait(t.Context(), k, "key", Bucket(5, time.Second, 0), 6)
	require.ErrorIs(t, err, ErrCost)
	_, err = Wait(t.Context(), k, "", Per(5, time.Second), 1)
	require.ErrorIs(t, err, ErrKey)
	_, err = Wait(t.Context(), k, "key", Limit{}, 1)
	require.ErrorIs(t, err, ErrLimit)
	d, err := Wait(t.Context(), k, "key", Per(5, time.Second), 0)
	require.NoError(t, err)
	assert.Equal(t, int64(5), d.Remaining, "a cost of 0 looks")
	long := strings.Repeat("k", MaxKeyLen)
	for _, l := range []Limit{Per(1, time.Millisecond), Per(MaxQuota, time.Millisecond), {Quota: 1, Window: MaxWindow}, Sliding(MaxQuota, MaxWindow)} {
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_, err = Wait(ctx, k, long, l, l.Quota)
			cancel()
			assert.True(t, err == nil || errors.Is(err, ErrWait), "%v: %v", l, err)
		}
	}
}

// A denial that may not last is asked about again, and not taken for a long wait.
func TestWaitForTrials(t *testing.T) {
	for _, l := range []Limit{Bucket(1, time.Hour, 1), Per(1, time.Hour)} {
		synctest.Test(t, func(t *testing.T) {
			k := NewLocal(Config{})
			held, err := k.Hold(t.Context(), "key", l, 1)
			require.NoError(t, err)
			time.AfterFunc(10*time.Millisecond, func() {
				assert.NoError(t, k.Refund(t.Context(), "key", l, 1, held.Window))
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = Wait(ctx, k, "key", l, 1)
			require.NoError(t, err)
		})
	}
}

func TestTakeUpTo(t *testing.T) {
	for _, l := range []Limit{Bucket(10, time.Hour, 10), Per(10, time.Hour), Sliding(10, time.Hour)} {
		k := &counter{Local: NewLocal(Config{})}
		for _, c := range []struct{ most, want, left int64 }{{0, 0, 10}, {4, 4, 6}, {100, 6, 0}, {1, 0, 0}} {
			n, d, err := TakeUpTo(t.Context(), k, "key", l, c.most)
			require.NoError(t, err)
			assert.Equal(t, c.want, n, "%v: up to %d", l, c.most)
			assert.Equal(t, c.left, d.Remaining, "%v: up to %d", l, c.most)
			assert.Equal(t, c.most > 0 && n == 0, d.RetryAfter > 0)
		}
		assert.Equal(t, 5, k.takes)
		_, _, err := TakeUpTo(t.Context(), k, "key", l, -1)
		require.ErrorIs(t, err, ErrCost)
	}
}

// Many who take what there is together take exactly that.
func TestTakeUpToTogether(t *testing.T) {
	k, l := NewLocal(Config{}), Per(1000, time.Hour)
	var mu sync.Mutex
	var wg sync.WaitGroup
	sum := int64(0)
	for i := range 50 {
		wg.Go(func() {
			for range 10 {
				n, _, err := TakeUpTo(t.Context(), k, "key", l, int64(1+i%7))
				assert.NoError(t, err)
				mu.Lock()
				sum += n
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(1000), sum)
}
