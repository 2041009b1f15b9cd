package contend

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// goRedisPool is how many connections go-redis may open; each carries one call at a
// time. On two cores 20, its default there, 64 and 256 answer about as many calls, and
// with 256 the slow ones are slower.
const goRedisPool = 64

// goRedisMember is a client with a connection pool.
type goRedisMember struct {
	client
	c      *redis.Client
	script *redis.Script
}

func startGoRedis(s Setup) (Member, error) {
	c := redis.NewClient(&redis.Options{
		Addr: s.Server, PoolSize: goRedisPool, DialTimeout: callTimeout, ReadTimeout: callTimeout,
		WriteTimeout: callTimeout, PoolTimeout: callTimeout,
	})
	return &goRedisMember{c: c, script: redis.NewScript(fixedWindow)}, nil
}

func (m *goRedisMember) Taker(b Budget) Take {
	ctx, window := context.Background(), b.Window.Milliseconds()
	return func(key string) (bool, error) {
		n, err := m.script.Run(ctx, m.c, []string{key}, window).Int64()
		return n <= b.Quota, err
	}
}

// Close has nobody to tell of an error, and the process ends.
func (m *goRedisMember) Close() { _ = m.c.Close() }
