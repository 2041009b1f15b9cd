package contend

import (
	"context"

	"github.com/sethvargo/go-limiter/memorystore"
)

// makeGoLimiter is sethvargo/go-limiter's memory store. It has no bound on keys;
// InitialAlloc is left alone, since nobody knows their number of keys beforehand.
func makeGoLimiter(b Budget, _ int) (func() Take, error) {
	s, err := memorystore.New(&memorystore.Config{Tokens: uint64(b.Quota), Interval: b.Window})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return shared(func(key string) (bool, error) {
		_, _, _, ok, err := s.Take(ctx, key)
		return ok, err
	}), nil
}
