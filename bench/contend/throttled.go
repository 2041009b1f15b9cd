package contend

import (
	"context"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

// makeThrottled is throttled's GCRA over its memory store, without a bound on keys:
// with one it keeps an LRU list under a global lock, and is slower.
func makeThrottled(b Budget, _ int) (func() Take, error) {
	store, err := memstore.NewCtx(0)
	if err != nil {
		return nil, err
	}
	quota := throttled.RateQuota{MaxRate: throttled.PerDuration(asInt(b.Quota), b.Window), MaxBurst: asInt(b.Quota) - 1}
	l, err := throttled.NewGCRARateLimiterCtx(store, quota)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return shared(func(key string) (bool, error) {
		limited, _, err := l.RateLimitCtx(ctx, key, 1)
		return !limited, err
	}), nil
}
