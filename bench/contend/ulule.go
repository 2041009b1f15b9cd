package contend

import (
	"context"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
)

// makeUlule is ulule/limiter's memory store.
func makeUlule(b Budget, _ int) (func() Take, error) {
	l := limiter.New(memory.NewStore(), limiter.Rate{Period: b.Window, Limit: b.Quota})
	ctx := context.Background()
	return shared(func(key string) (bool, error) {
		c, err := l.Get(ctx, key)
		return !c.Reached, err
	}), nil
}
