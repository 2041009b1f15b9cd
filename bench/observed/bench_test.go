package observed

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/otelweir"
	"github.com/weir-go/weir/cluster/prommetrics"
	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// side is a cluster of two nodes, and HTTP in front of the first.
type side struct {
	node            *cluster.Node
	held, forwarded string // keys
	server          *httptest.Server
	get             *http.Request
}

var wide = limiter.Limit{Quota: limiter.MaxQuota, Window: 24 * time.Hour, Lease: limiter.LeaseOff}

func start(b *testing.B, on bool) *side {
	s, first := &side{}, ""
	var other *cluster.Node
	for i := range 2 {
		c := cluster.Config{Name: fmt.Sprint("node", i), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), CallTimeout: 2 * time.Second}
		if on {
			c.OnForward = otelweir.OnForward(sdk.NewTracerProvider())
		}
		if i > 0 {
			c.Join = []string{first}
		}
		n, err := cluster.Start(b.Context(), c)
		require.NoError(b, err)
		b.Cleanup(n.Close)
		if other = n; i == 0 {
			s.node, first = n, n.Addr()
		}
	}
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for s.node.Stats().Live != 2 || other.Stats().Holding == 0 || s.node.Stats().Holding+other.Stats().Holding != cluster.Partitions {
		<-poll.C
	}
	for i := 0; s.held == "" || s.forwarded == ""; i++ {
		key := fmt.Sprint("key", i)
		d, err := s.node.Take(b.Context(), key, wide, 1)
		require.NoError(b, err)
		if d.Path == limiter.PathForwarded {
			s.forwarded = key
		} else {
			s.held = key
		}
	}
	p := middleware.Policy{Default: []middleware.Rule{{Name: "all", Limit: wide}}}
	var m *prommetrics.Metrics
	var page *status.Page
	if on {
		m = prommetrics.New(prommetrics.Config{Node: s.node})
		page = status.Handler(s.node, status.Config{})
		b.Cleanup(page.Close)
		p.OnDecision = func(e middleware.Event) {
			m.OnDecision(e)
			page.OnDecision(e)
		}
		registry, stop := prometheus.NewRegistry(), make(chan struct{})
		registry.MustRegister(m)
		go func() {
			every := time.NewTicker(100 * time.Millisecond)
			defer every.Stop()
			for {
				select {
				case <-every.C:
					registry.Gather()
				case <-stop:
					return
				}
			}
		}()
		b.Cleanup(func() { close(stop) })
	}
	guard, err := middleware.New(s.node, p)
	require.NoError(b, err)
	if m != nil {
		m.Guard(guard)
		page.Guard(guard)
	}
	s.server = httptest.NewServer(guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	b.Cleanup(s.server.Close)
	s.get, err = http.NewRequest("GET", s.server.URL, nil)
	require.NoError(b, err)
	return s
}

func (s *side) request() {
	resp, err := http.DefaultClient.Do(s.get)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// sampled is the context of a request that is traced.
func sampled(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled}))
}

func BenchmarkEverythingOn(b *testing.B) {
	plain, traced := b.Context(), sampled(b.Context())
	for _, c := range []struct {
		name  string
		times int // in one turn
		do    func(s *side, on bool, i int)
	}{
		{"held", 5000, func(s *side, _ bool, _ int) { s.node.Take(plain, s.held, wide, 1) }},
		{"forwarded", 100, func(s *side, _ bool, _ int) { s.node.Take(plain, s.forwarded, wide, 1) }},
		{"forwarded, 1 in 100 sampled", 100, func(s *side, on bool, i int) {
			ctx := plain
			if on && i == 0 {
				ctx = traced
			}
			s.node.Take(ctx, s.forwarded, wide, 1)
		}},
		{"forwarded, all sampled", 100, func(s *side, on bool, _ int) {
			ctx := plain
			if on {
				ctx = traced
			}
			s.node.Take(ctx, s.forwarded, wide, 1)
		}},
		{"request", 50, func(s *side, _ bool, _ int) { s.request() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			sides := [2]*side{start(b, false), start(b, true)}
			var took [2][]float64
			turn := func(which int) {
				began := time.Now()
				for i := range c.times {
					c.do(sides[which], which == 1, i)
				}
				took[which] = append(took[which], float64(time.Since(began).Nanoseconds())/float64(c.times))
			}
			first := 0
			for b.Loop() {
				turn(first)
				turn(1 - first)
				first = 1 - first
			}
			off, on := median(took[0]), median(took[1])
			b.ReportMetric(off, "off-ns/op")
			b.ReportMetric(on, "on-ns/op")
			b.ReportMetric(on/off, "ratio")
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
