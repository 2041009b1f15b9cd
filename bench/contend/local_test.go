package contend

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLocalsAdmitTheQuota is why the tables can be compared: with more takes than
// quota, from several goroutines, each contender admits the quota of every key.
func TestLocalsAdmitTheQuota(t *testing.T) {
	const keys, goroutines, each = 3, 4, 200
	b := Budget{Quota: 500, Window: 24 * time.Hour}
	for _, l := range Locals {
		t.Run(l.Name, func(t *testing.T) {
			perGoroutine, err := l.Make(b, 1000)
			require.NoError(t, err)
			var admitted [keys]atomic.Int64
			var wg sync.WaitGroup
			for range goroutines {
				take := perGoroutine()
				wg.Go(func() {
					for range each {
						for k := range keys {
							ok, err := take(fmt.Sprintf("user:%06d", k))
							if !assert.NoError(t, err) {
								return
							}
							if ok {
								admitted[k].Add(1)
							}
						}
					}
				})
			}
			wg.Wait()
			for k := range keys {
				assert.Equal(t, b.Quota, admitted[k].Load(), "key %d of %d takes", k, goroutines*each)
			}
		})
	}
}

// TestAmpleIsAmple: a budget that a contender could not express would be denied, or
// refused, at the first takes.
func TestAmpleIsAmple(t *testing.T) {
	for _, l := range Locals {
		t.Run(l.Name, func(t *testing.T) {
			perGoroutine, err := l.Make(Ample, 1000)
			require.NoError(t, err)
			take := perGoroutine()
			for i := range 5000 {
				ok, err := take("key")
				require.NoError(t, err)
				require.True(t, ok, "take %d", i)
			}
		})
	}
}
