package integration

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// Two stacked rules in front of one of three nodes on loopback, by where their budgets are,
// one request after the other; and one rule beside them. forwarded/op are the takes
// that went to another node, each a round trip, those of a stack at the same time.
func BenchmarkStackOnThreeNodes(b *testing.B) {
	var nodes []*cluster.Node
	for i := range 3 {
		cfg := cluster.Config{Name: fmt.Sprint("node", i), Logger: slog.New(slog.DiscardHandler), CallTimeout: time.Second}
		for _, other := range nodes {
			cfg.Join = append(cfg.Join, other.Addr())
		}
		n, err := cluster.Start(context.Background(), cfg)
		require.NoError(b, err)
		b.Cleanup(n.Close)
		nodes = append(nodes, n)
	}
	require.Eventually(b, func() bool {
		holding := 0
		for _, n := range nodes {
			holding += n.Stats().Holding
		}
		return holding == cluster.Partitions && nodes[0].Stats().Live == 3
	}, 20*time.Second, 5*time.Millisecond)

	wide := limiter.Limit{Quota: limiter.MaxQuota, Window: time.Hour, Lease: limiter.LeaseOff}
	spent := limiter.Limit{Quota: 1, Window: time.Hour, Lease: limiter.LeaseOff}
	// subject is one whose budget of a rule is here, or is not.
	subject := func(rule string, l limiter.Limit, here bool) string {
		for i := 0; ; i++ {
			before := nodes[0].Stats().Forwarded
			_, err := nodes[0].Take(b.Context(), limiter.Key(rule, fmt.Sprint(i)), l, 0)
			require.NoError(b, err)
			if here == (nodes[0].Stats().Forwarded == before) {
				return fmt.Sprint(i)
			}
		}
	}
	rule := func(name string, l limiter.Limit) middleware.Rule {
		return middleware.Rule{Name: name, Limit: l, Key: middleware.Header("X-" + name)}
	}
	for _, c := range []struct {
		name         string
		rules        []middleware.Rule
		aHere, bHere bool
	}{
		{"one rule, there", []middleware.Rule{rule("A", wide)}, false, false},
		{"two rules, here and here", []middleware.Rule{rule("A", wide), rule("B", wide)}, true, true},
		{"two rules, here and there", []middleware.Rule{rule("A", wide), rule("B", wide)}, true, false},
		{"two rules, there and there", []middleware.Rule{rule("A", wide), rule("B", wide)}, false, false},
		{"two rules, there and there, one spent", []middleware.Rule{rule("A", wide), rule("B", spent)}, false, false},
	} {
		m, err := middleware.New(nodes[0], middleware.Policy{Default: c.rules})
		require.NoError(b, err)
		h := m.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-A", subject("A", wide, c.aHere))
		r.Header.Set("X-B", subject("B", c.rules[len(c.rules)-1].Limit, c.bHere))
		b.Run(c.name, func(b *testing.B) {
			before := nodes[0].Stats().Forwarded
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			b.ReportMetric(float64(nodes[0].Stats().Forwarded-before)/float64(b.N), "forwarded/op")
		})
	}
}
