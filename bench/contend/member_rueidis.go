package contend

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"
)

// fixedWindow is the least that a correct fixed window costs Redis: one script call
// that counts and sets the expiry with the first hit. The limiters that people use
// with Redis do more per take.
const fixedWindow = `local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return n`

// rueidisMember is a client that puts the calls of all goroutines on a few
// connections by itself.
type rueidisMember struct {
	client
	c      rueidis.Client
	script *rueidis.Lua
}

func startRueidis(s Setup) (Member, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.Server}, DisableCache: true, ConnWriteTimeout: callTimeout,
	})
	if err != nil {
		return nil, err
	}
	return &rueidisMember{c: c, script: rueidis.NewLuaScript(fixedWindow)}, nil
}

func (m *rueidisMember) Taker(b Budget) Take {
	ctx, window := context.Background(), []string{strconv.FormatInt(b.Window.Milliseconds(), 10)}
	return func(key string) (bool, error) {
		n, err := m.script.Exec(ctx, m.c, []string{key}, window).AsInt64()
		return n <= b.Quota, err
	}
}

func (m *rueidisMember) Close() { m.c.Close() }

// client is the part of a [Member] that clients of a server have in common: they do
// not meet, and every key is elsewhere.
type client struct{}

func (client) Addr() string                         { return "" }
func (client) Meet(context.Context, []string) error { return nil }
func (client) Foreign(string, Budget) (bool, error) { return true, nil }
func (client) Forwarded() int64                     { return -1 }
func (client) Anomalies() int64                     { return 0 }
