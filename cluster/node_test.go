package cluster

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
)

// Takes from all nodes at once, over real sockets, plain and with a secret.
func TestThreeNodesShareOneBudget(t *testing.T) {
	for _, secret := range []string{"", "a secret of sixteen bytes or more"} {
		nodes := startNodes(t, 3, func(c *Config) { c.Secret = []byte(secret) })
		for _, l := range []limiter.Limit{
			limiter.Per(100, time.Hour),
			{Quota: 100, Window: time.Hour, Algorithm: limiter.SlidingWindow},
			{Quota: 100, Window: time.Hour, Algorithm: limiter.TokenBucket},
		} {
			for _, key := range []string{"a", "b", "c"} {
				admitted := takeFromAll(t, nodes, key, l, 300)
				require.Equal(t, 100, admitted, "key %s of %v", key, l.Algorithm)
			}
		}
	}
}

func takeFromAll(t *testing.T, nodes []*Node, key string, l limiter.Limit, takes int) (admitted int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range takes {
		wg.Go(func() {
			d, err := nodes[i%len(nodes)].Take(context.Background(), key, l, 1)
			mu.Lock()
			defer mu.Unlock()
			require.NoError(t, err)
			require.False(t, d.Degraded)
			if d.Allowed {
				admitted++
			}
		})
	}
	wg.Wait()
	return admitted
}

// What a node costs must not grow with what it does: all goroutines end with it.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	nodes := startNodes(t, 3, nil)
	takeFromAll(t, nodes, "k", limiter.Per(10, time.Hour), 50)
	require.NoError(t, nodes[0].Leave(t.Context()))
	nodes[1].Close()
	require.ErrorIs(t, nodes[2].Leave(t.Context()), errAlone)
	left := func() string {
		b := make([]byte, 1<<20)
		return string(b[:runtime.Stack(b, true)])
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "more than %d goroutines:\n%s", before, left())
	}
}

// No path of a take allocates, on both sides together: not where it is decided here, by
// the owner, from memory, or from a lease.
func TestTakeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	nodes := startNodes(t, 2, nil)
	l := limiter.Per(limiter.MaxQuota, time.Hour)
	off, always := l, l
	off.Lease, always.Lease = limiter.LeaseOff, limiter.LeaseAlways
	for _, path := range []struct {
		name, key string
		l         limiter.Limit
		counter   func(s Stats) int64 // what tells that it is this path
	}{
		{"held", foreignKey(nodes[1], l, 0), l, nil},
		{"forwarded", foreignKey(nodes[0], l, 0), off, func(s Stats) int64 { return s.Forwarded }},
		{"denied", foreignKey(nodes[0], l, 1), limiter.Per(1, time.Hour), func(s Stats) int64 { return s.Remembered }},
		{"leased", foreignKey(nodes[0], l, 2), always, func(s Stats) int64 { return s.Leased }},
	} {
		take := func() {
			if _, err := nodes[0].Take(context.Background(), path.key, path.l, 1); err != nil {
				t.Error(err)
			}
		}
		const runs = 5000
		for range runs { // a lease grows with demand
			take()
		}
		before := nodes[0].Stats()
		// Gossip, flushes and asks for more allocate beside it, now and then.
		require.Less(t, testing.AllocsPerRun(runs, take), 0.2, path.name)
		if path.counter != nil {
			require.Greater(t, path.counter(nodes[0].Stats())-path.counter(before), int64(runs*9/10), path.name)
		}
	}
}

// Who has another secret neither joins nor gets an answer.
func TestAnotherSecret(t *testing.T) {
	nodes := startNodes(t, 1, func(c *Config) { c.Secret = []byte("a secret of sixteen bytes or more") })
	for _, secret := range []string{"another secret of sixteen bytes", ""} {
		var log lockedBuilder
		n, err := Start(t.Context(), Config{Name: "other", Secret: []byte(secret), Join: []string{nodes[0].Addr()},
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Equal(t, 1, n.Stats().Live)
		require.Eventually(t, func() bool { return strings.Contains(log.String(), "cannot join yet") }, 10*time.Second, time.Millisecond)
		p := n.dial("", nodes[0].Addr())
		require.Error(t, p.Call(t.Context(), time.Now().Add(time.Second), wire.KindTime, &wire.Time{}))
		p.Close()
		require.NotContains(t, log.String(), "a secret of")
		n.Close()
	}
	require.Equal(t, 1, nodes[0].Stats().Live)
}

func TestUnresolvableJoinIsTriedForEver(t *testing.T) {
	var log lockedBuilder
	n, err := Start(t.Context(), Config{Join: []string{"no-such-host.invalid:7946"}, JoinTimeout: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	defer n.Close()
	require.True(t, n.Ready(), "alone it serves")
	n.Close() // all lines are written then
	require.Contains(t, log.String(), "no-such-host.invalid:7946")
	require.Contains(t, log.String(), "trying again for ever")
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
