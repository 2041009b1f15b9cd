package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// startNodes starts a cluster on loopback sockets and waits until it is whole.
func startNodes(t testing.TB, n int, change func(*Config)) []*Node {
	t.Helper()
	var nodes []*Node
	for i := range n {
		cfg := Config{Name: fmt.Sprintf("node%d", i), Logger: slog.New(slog.DiscardHandler), CallTimeout: time.Second}
		for _, other := range nodes {
			cfg.Join = append(cfg.Join, other.Addr())
		}
		if change != nil {
			change(&cfg)
		}
		node, err := Start(context.Background(), cfg)
		require.NoError(t, err)
		t.Cleanup(node.Close)
		nodes = append(nodes, node)
	}
	require.Eventually(t, func() bool {
		holding := 0
		for _, node := range nodes {
			s := node.Stats()
			if s.Live != n || s.Pending > 0 || !node.Ready() {
				return false
			}
			holding += s.Holding
		}
		return holding == Partitions
	}, 20*time.Second, 5*time.Millisecond)
	return nodes
}

// foreignKey is a key that another node than n holds.
func foreignKey(n *Node, l limiter.Limit, not int) string {
	for i := 0; ; i++ {
		key := fmt.Sprintf("key%d", i)
		if !n.ledger.Held().Has(n.id(key, &l).Partition()) {
			if not--; not < 0 {
				return key
			}
		}
	}
}

// algorithms are a limit that no benchmark reaches, by each of two ways to count.
var algorithms = []limiter.Limit{
	{Algorithm: limiter.FixedWindow, Quota: limiter.MaxQuota, Window: time.Hour},
	{Algorithm: limiter.TokenBucket, Quota: limiter.MaxQuota, Window: time.Hour},
}

func BenchmarkTakeForwarded(b *testing.B) {
	for _, secret := range []string{"", "0123456789abcdef"} {
		nodes := startNodes(b, 2, func(c *Config) { c.Secret = []byte(secret) })
		for _, l := range algorithms {
			l.Lease = limiter.LeaseOff
			benchmarkForwarded(b, fmt.Sprintf("tls=%v/%v", secret != "", l.Algorithm), nodes, l)
		}
	}
}

func benchmarkForwarded(b *testing.B, name string, nodes []*Node, l limiter.Limit) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
			keys := make([]string, callers)
			for i := range keys {
				keys[i] = foreignKey(nodes[0], l, i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if d, err := nodes[0].Take(context.Background(), keys[i], l, 1); err != nil || d.Degraded {
							b.Error(d, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func BenchmarkTakeHeld(b *testing.B) {
	n := startNodes(b, 1, nil)[0]
	for _, l := range algorithms {
		b.Run(l.Algorithm.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := n.Take(context.Background(), "key", l, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What shipping costs: forwarded takes with a flush every 100 ms, and with none.
func BenchmarkShipping(b *testing.B) {
	l := limiter.Limit{Quota: limiter.MaxQuota, Window: time.Hour, Lease: limiter.LeaseOff}
	for _, every := range []time.Duration{100 * time.Millisecond, time.Minute} {
		nodes := startNodes(b, 2, func(c *Config) { c.FlushInterval = every })
		b.Run(fmt.Sprintf("flush=%v", every), func(b *testing.B) {
			var keys []string
			for i := range 2000 {
				keys = append(keys, fmt.Sprintf("key%d", i))
			}
			var next atomic.Int64
			b.SetParallelism(128)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key := keys[next.Add(1)%int64(len(keys))]
					if d, err := nodes[0].Take(context.Background(), key, l, 1); err != nil || d.Degraded {
						b.Error(d, err)
						return
					}
				}
			})
		})
	}
}

// A key over its limit, asked at a node that does not hold it.
func BenchmarkTakeDenied(b *testing.B) {
	nodes := startNodes(b, 2, nil)
	for _, l := range algorithms {
		l.Quota = 1
		b.Run(l.Algorithm.String(), func(b *testing.B) {
			key := foreignKey(nodes[0], l, 0)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nodes[0].Take(context.Background(), key, l, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A hot key, asked on all of three nodes at once by as many callers as there are cores.
func BenchmarkTakeLeased(b *testing.B) {
	nodes := startNodes(b, 3, nil)
	leased := func() (sum int64) {
		for _, n := range nodes {
			sum += n.Stats().Leased
		}
		return sum
	}
	for _, l := range algorithms {
		l.Lease = limiter.LeaseAlways
		b.Run(l.Algorithm.String(), func(b *testing.B) {
			var next atomic.Int64
			before := leased()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				n := nodes[next.Add(1)%3]
				for pb.Next() {
					if _, err := n.Take(context.Background(), "hot", l, 1); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(leased()-before)/float64(b.N), "leased/op")
		})
	}
}
