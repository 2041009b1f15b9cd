package contend

import (
	"hash/maphash"
	"sync"

	"golang.org/x/time/rate"
)

// xtimeShards is what people use who build this by hand; more changes little on the
// few cores of a test machine.
const xtimeShards = 256

// makeXTime is what many services have: an x/time/rate limiter per key in a map that
// is sharded to spread the locks. Nothing is ever forgotten.
func makeXTime(b Budget, _ int) (func() Take, error) {
	var shards [xtimeShards]struct {
		mu   sync.Mutex
		keys map[string]*rate.Limiter // guarded by mu
	}
	for i := range shards {
		shards[i].keys = map[string]*rate.Limiter{}
	}
	seed := maphash.MakeSeed()
	every := rate.Limit(float64(b.Quota) / b.Window.Seconds())
	return shared(func(key string) (bool, error) {
		s := &shards[maphash.String(seed, key)%xtimeShards]
		s.mu.Lock()
		l := s.keys[key]
		if l == nil {
			l = rate.NewLimiter(every, asInt(b.Quota))
			s.keys[key] = l
		}
		s.mu.Unlock()
		return l.Allow(), nil
	}), nil
}
