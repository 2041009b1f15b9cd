package limiter

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
)

// settable is a Local on a clock that stands at the start of the key's window until it is moved.
func settable(t *testing.T, key string, lim Limit) (l *Local, move func(time.Duration)) {
	at := time.Now()
	l = NewLocal(Config{Now: func() time.Time { return at }})
	d, err := l.Take(t.Context(), key, lim, 0)
	require.NoError(t, err)
	if lim.Algorithm == FixedWindow {
		at = at.Add(d.ResetAfter)
	} else if lim.Algorithm == SlidingWindow {
		b := budget(&lim)
		into := l.clock() - ledger.WindowStart(l.hasher.ID(key, b.Window, b.Algorithm), &b, l.clock())
		at = at.Add(lim.Window - time.Duration(into))
	}
	return l, func(d time.Duration) { at = at.Add(d) }
}

// A refund goes into the window of its take, not into the one that happens to be current.
func TestRefundNamesItsWindow(t *testing.T) {
	sliding := Limit{Quota: 100, Window: time.Minute, Algorithm: SlidingWindow}
	fixed := Per(100, time.Minute)
	bucket := Limit{Quota: 60, Window: time.Minute, Burst: 100, Algorithm: TokenBucket}
	for _, c := range []struct {
		name        string
		lim         Limit
		first       int64 // held at the window's start
		wait        time.Duration
		then        int64 // taken after that
		refund      int64
		before, has int64 // left before and after the refund
	}{
		{"sliding, in its window", sliding, 100, 30 * time.Second, 0, 50, 0, 50},
		{"sliding, in half of the next", sliding, 100, 90 * time.Second, 50, 50, 0, 25},
		{"sliding, at the end of the next", sliding, 100, 119 * time.Second, 50, 50, 48, 49},
		{"sliding, all of it in the next", sliding, 80, 90 * time.Second, 10, 80, 50, 90},
		{"sliding, more than was taken", sliding, 40, 90 * time.Second, 60, 90, 20, 40},
		{"sliding, after the next", sliding, 100, 121 * time.Second, 50, 50, 50, 50},
		{"sliding, long after", sliding, 100, time.Hour, 50, 50, 50, 50},
		{"fixed, in its window", fixed, 100, 59 * time.Second, 0, 50, 0, 50},
		{"fixed, in the next", fixed, 100, 61 * time.Second, 50, 50, 50, 50},
		{"fixed, much later", fixed, 100, time.Hour, 100, 50, 0, 0},
		{"bucket, at once", bucket, 100, 0, 0, 50, 0, 50},
		{"bucket, late", bucket, 100, 30 * time.Second, 0, 50, 30, 80},
		{"bucket, when it is full", bucket, 100, time.Hour, 0, 50, 100, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, move := settable(t, "k", c.lim)
			held, err := l.Hold(t.Context(), "k", c.lim, c.first)
			require.NoError(t, err)
			require.True(t, held.Allowed)
			left := func() int64 {
				d, err := l.Take(t.Context(), "k", c.lim, 0)
				require.NoError(t, err)
				return d.Remaining
			}
			move(c.wait)
			if c.then > 0 {
				d, err := l.Take(t.Context(), "k", c.lim, c.then)
				require.NoError(t, err)
				require.True(t, d.Allowed)
			}
			assert.Equal(t, c.before, left(), "before")
			require.NoError(t, l.Refund(t.Context(), "k", c.lim, c.refund, held.Window))
			assert.Equal(t, c.has, left(), "after")
		})
	}
}

// A denial that only holds cause says so, whatever the algorithm, and one that they do not
// cause does not.
func TestHoldsMakeDenialsTentative(t *testing.T) {
	for _, a := range []Algorithm{FixedWindow, SlidingWindow, TokenBucket} {
		lim := Limit{Quota: 10, Window: time.Hour, Algorithm: a}
		for _, c := range []struct {
			name                     string
			taken, held, kept, given int64
			cost                     int64
			allowed, tentative       bool
		}{
			{"nothing held", 10, 0, 0, 0, 1, false, false},
			{"all held", 0, 10, 0, 0, 1, false, true},
			{"some held", 6, 4, 0, 0, 1, false, true},
			{"held, and room", 4, 4, 0, 0, 2, true, false},
			{"too little held", 6, 4, 0, 0, 5, false, false},
			{"just enough held", 6, 4, 0, 0, 4, false, true},
			{"held and left together", 5, 3, 0, 0, 5, false, true},
			{"kept", 6, 4, 4, 0, 1, false, false},
			{"half of it kept", 6, 4, 2, 0, 2, false, true},
			{"half of it kept, and not enough", 6, 4, 2, 0, 3, false, false},
			{"given back", 6, 4, 0, 4, 4, true, false},
			{"a look", 6, 4, 0, 0, 0, false, true},
		} {
			t.Run(fmt.Sprint(a, "/", c.name), func(t *testing.T) {
				l, _ := settable(t, "k", lim)
				var held Decision
				if c.taken > 0 {
					_, err := l.Take(t.Context(), "k", lim, c.taken)
					require.NoError(t, err)
				}
				if c.held > 0 {
					var err error
					held, err = l.Hold(t.Context(), "k", lim, c.held)
					require.NoError(t, err)
					require.True(t, held.Allowed)
				}
				if c.kept > 0 {
					l.Keep("k", lim, c.kept, held.Window)
				}
				if c.given > 0 {
					require.NoError(t, l.Refund(t.Context(), "k", lim, c.given, held.Window))
				}
				d, err := l.Take(t.Context(), "k", lim, c.cost)
				require.NoError(t, err)
				assert.Equal(t, c.allowed, d.Allowed)
				assert.Equal(t, c.tentative, d.Tentative)
				assert.Equal(t, d.Allowed, d.RetryAfter == 0)
				if d.Tentative {
					assert.LessOrEqual(t, d.RetryAfter, 10*time.Millisecond)
				} else if !d.Allowed {
					assert.Greater(t, d.RetryAfter, time.Minute)
				}
			})
		}
	}
}

// What is never settled is spent, and is forgotten as a hold.
func TestHoldsEnd(t *testing.T) {
	lim := Per(10, time.Hour)
	l, move := settable(t, "k", lim)
	held, err := l.Hold(t.Context(), "k", lim, 10)
	require.NoError(t, err)
	move(2*time.Second + 1)
	d, err := l.Take(t.Context(), "k", lim, 1)
	require.NoError(t, err)
	assert.False(t, d.Tentative)
	require.NoError(t, l.Refund(t.Context(), "k", lim, 10, held.Window), "late, but not too late")
	d, err = l.Hold(t.Context(), "k", lim, 10)
	require.NoError(t, err)
	assert.True(t, d.Allowed)
	l.Keep("k", lim, 10, d.Window)
	d, err = l.Take(t.Context(), "k", lim, 1)
	require.NoError(t, err)
	assert.False(t, d.Tentative, "nothing is left behind")
}

// Holds, keeps and refunds from many at once leave exactly what was kept, and no hold.
func TestHoldsConcurrently(t *testing.T) {
	lim := Per(1000, time.Hour)
	l, _ := settable(t, "k", lim)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				d, err := l.Hold(t.Context(), "k", lim, 1)
				if !assert.NoError(t, err) || !d.Allowed {
					continue
				}
				if (w+i)%2 == 0 {
					l.Keep("k", lim, 1, d.Window)
				} else {
					assert.NoError(t, l.Refund(t.Context(), "k", lim, 1, d.Window))
				}
			}
		})
	}
	wg.Wait()
	d, err := l.Take(t.Context(), "k", lim, 0)
	require.NoError(t, err)
	assert.Equal(t, int64(200), d.Remaining)
	d, err = l.Take(t.Context(), "k", lim, 1000)
	require.NoError(t, err)
	assert.False(t, d.Tentative, "nothing is left behind")
}
