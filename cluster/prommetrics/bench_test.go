package prommetrics_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/prommetrics"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// What metrics cost. Takes know nothing of them, so "on" is a registry that reads them ten times
// a second meanwhile; for a request it is OnDecision as well.
func scraped(b *testing.B, m *prommetrics.Metrics) {
	registry, stop := prometheus.NewRegistry(), make(chan struct{})
	registry.MustRegister(m)
	go func() {
		for every := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-every.C:
				registry.Gather()
			case <-stop:
				every.Stop()
				return
			}
		}
	}()
	b.Cleanup(func() { close(stop) })
}

func pair(b *testing.B) (a, c *cluster.Node) {
	nodes := make([]*cluster.Node, 2)
	for i := range nodes {
		cfg := cluster.Config{Name: fmt.Sprint("node", i), Logger: slog.New(slog.DiscardHandler), CallTimeout: 2 * time.Second}
		if i > 0 {
			cfg.Join = []string{nodes[0].Addr()}
		}
		n, err := cluster.Start(b.Context(), cfg)
		require.NoError(b, err)
		b.Cleanup(n.Close)
		nodes[i] = n
	}
	for nodes[0].Stats().Holding+nodes[1].Stats().Holding != cluster.Partitions || nodes[0].Stats().Live != 2 || nodes[1].Stats().Holding == 0 {
		time.Sleep(time.Millisecond)
	}
	return nodes[0], nodes[1]
}

// keyOf is a key that a take of the first node forwards, or not.
func keyOf(b *testing.B, n *cluster.Node, forwarded bool) string {
	for i := 0; ; i++ {
		before := n.Stats().Forwarded
		key := fmt.Sprint("key", i)
		_, err := n.Take(b.Context(), key, wide, 1)
		require.NoError(b, err)
		if (n.Stats().Forwarded > before) == forwarded {
			return key
		}
	}
}

var wide = limiter.Limit{Quota: limiter.MaxQuota, Window: 24 * time.Hour, Lease: limiter.LeaseOff}

func BenchmarkTake(b *testing.B) {
	for _, forwarded := range []bool{false, true} {
		for _, on := range []bool{false, true} {
			name := map[bool]string{false: "held", true: "forwarded"}[forwarded] + map[bool]string{false: "/off", true: "/on"}[on]
			b.Run(name, func(b *testing.B) {
				n, _ := pair(b)
				if on {
					scraped(b, prommetrics.New(prommetrics.Config{Node: n}))
				}
				key := keyOf(b, n, forwarded)
				for b.Loop() {
					n.Take(b.Context(), key, wide, 1)
				}
			})
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(map[bool]string{false: "off", true: "on"}[on], func(b *testing.B) {
			n, _ := pair(b)
			p := middleware.Policy{Default: []middleware.Rule{{Name: "all", Limit: wide}}}
			if on {
				m := prommetrics.New(prommetrics.Config{Node: n})
				p.OnDecision = m.OnDecision
				scraped(b, m)
			}
			guard, err := middleware.New(n, p)
			require.NoError(b, err)
			server := httptest.NewServer(guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			b.Cleanup(server.Close)
			for b.Loop() {
				resp, err := http.Get(server.URL)
				require.NoError(b, err)
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

func BenchmarkOnDecision(b *testing.B) {
	m := prommetrics.New(prommetrics.Config{})
	e := middleware.Event{Rule: "all", Limit: wide, Took: 100 * time.Microsecond}
	b.ReportAllocs()
	for b.Loop() {
		m.OnDecision(e)
	}
}
