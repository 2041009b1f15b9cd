package contend

import (
	"context"

	"github.com/weir-go/weir/limiter"
)

// limit is a budget as weir says it.
func (b Budget) limit() limiter.Limit {
	return limiter.Limit{Quota: b.Quota, Window: b.Window, Lease: b.Lease}
}

// makeWeir is the embedded limiter of one process. A program that uses it passes a
// context and a limit with every take, so that is what is measured.
func makeWeir(b Budget, maxKeys int) (func() Take, error) {
	l := limiter.NewLocal(limiter.Config{MaxKeys: maxKeys})
	ctx, lim := context.Background(), b.limit()
	return shared(func(key string) (bool, error) {
		d, err := l.Take(ctx, key, lim, 1)
		return d.Allowed, err
	}), nil
}
