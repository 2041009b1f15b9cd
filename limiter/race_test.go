package limiter

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stopped is a clock that stands still.
func stopped() time.Time { return time.Unix(1764000000, 0) }

// Whoever takes, and from however many keys: exactly the quota is admitted.
func TestExactlyTheQuota(t *testing.T) {
	const callers, keys, quota = 16, 50, 40
	for _, lim := range []Limit{Per(quota, time.Hour), sliding(quota, time.Hour), bucket(quota, time.Hour, 0)} {
		for _, keys := range []int{1, keys} {
			l := NewLocal(Config{Now: stopped})
			admitted := make([]atomic.Int64, keys)
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					for i := range keys * quota / 4 {
						k := (i + c) % keys
						cost := int64(i/keys%2) + 1 // 1 or 2
						d, err := l.Take(t.Context(), fmt.Sprint("key ", k), lim, cost)
						assert.NoError(t, err)
						if d.Allowed {
							admitted[k].Add(cost)
						}
					}
				})
			}
			wg.Wait()
			for k := range admitted {
				require.EqualValues(t, quota, admitted[k].Load(), "%v, key %d of %d", lim.Algorithm, k, keys)
			}
		}
	}
}

// Takes and refunds from many sides leave exactly their difference.
func TestTakesAndGives(t *testing.T) {
	l, lim := NewLocal(Config{Now: stopped}), Per(1_000_000, time.Hour)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				_, err := l.Take(t.Context(), "key", lim, 3)
				assert.NoError(t, err)
				assert.NoError(t, l.Give(t.Context(), "key", lim, 2))
			}
		})
	}
	wg.Wait()
	d, err := l.Take(t.Context(), "key", lim, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1_000_000-8*500, d.Remaining)
}
