// Command example is one node of a service that Prometheus can watch: HTTP with a limit at one
// address, and the metrics at another, which only Prometheus should reach.
//
//	go run ./example -http :8080 -metrics :9090 -bind 127.0.0.1:7946
//	go run ./example -http :8081 -metrics :9091 -bind 127.0.0.1:7947 -join 127.0.0.1:7946
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/prommetrics"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// run is the program. It tells on one line where HTTP, the metrics and the node are.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	serve := flags.String("http", "127.0.0.1:0", "address to serve at")
	show := flags.String("metrics", "127.0.0.1:0", "address for Prometheus")
	bind := flags.String("bind", "127.0.0.1:0", "address of the node")
	join := flags.String("join", "", "addresses of other nodes, with commas")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c := cluster.Config{Bind: *bind}
	if *join != "" {
		c.Join = strings.Split(*join, ",")
	}
	node, err := cluster.Start(ctx, c)
	if err != nil {
		return err
	}
	defer node.Leave(context.Background())
	metrics := prommetrics.New(prommetrics.Config{Node: node})
	guard, err := middleware.New(node, middleware.Policy{
		Default: []middleware.Rule{
			{Name: "default", Limit: limiter.Per(100, time.Minute)},
			{Name: "trial", Limit: limiter.Per(50, time.Minute), Shadow: true},
		},
		OnDecision: metrics.OnDecision,
	})
	if err != nil {
		return err
	}
	metrics.Guard(guard)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)

	front, err := net.Listen("tcp", *serve)
	if err != nil {
		return err
	}
	back, err := net.Listen("tcp", *show)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, front.Addr(), back.Addr(), node.Addr())
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	servers := []*http.Server{{Handler: guard.Wrap(hello)}, {Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}}
	for i, l := range []net.Listener{front, back} {
		go servers[i].Serve(l)
	}
	<-ctx.Done()
	for _, s := range servers {
		s.Shutdown(context.WithoutCancel(ctx))
	}
	return nil
}
