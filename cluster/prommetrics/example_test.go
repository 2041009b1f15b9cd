package prommetrics_test

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/prommetrics"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func Example() {
	node, err := cluster.Start(context.Background(), cluster.Config{})
	if err != nil {
		panic(err)
	}
	defer node.Close()
	metrics := prommetrics.New(prommetrics.Config{Node: node})
	guard, err := middleware.New(node, middleware.Policy{
		Default:    []middleware.Rule{{Name: "default", Limit: limiter.Per(100, time.Minute)}},
		OnDecision: metrics.OnDecision,
	})
	if err != nil {
		panic(err)
	}
	metrics.Guard(guard)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) // for Prometheus alone
	mux.Handle("/", guard.Wrap(http.NotFoundHandler()))
}
