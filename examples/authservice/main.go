// Command authservice is an auth service whose nodes share one budget per client.
//
// It reads its flags, starts one or several nodes (package service), prints where they
// are, and serves until SIGTERM or Ctrl-C; then the nodes leave gracefully. With -try it
// sends itself demonstration traffic instead, prints what was admitted, and exits 0 only
// if every budget held exactly.
//
// One node per process or machine:
//
//	WEIR_SECRET=… authservice -nodes 1 -name a -bind 10.0.0.1:7946 -http :8080
//	WEIR_SECRET=… authservice -nodes 1 -name b -bind 10.0.0.2:7946 -http :8080 -join 10.0.0.1:7946
//
// With -policy the limits come from a file, and follow it as it changes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
	"github.com/weir-go/weir/middleware"
)

const (
	exitFailed = 1
	exitUsage  = 2
	// leaveMax is how long a graceful end may take.
	leaveMax = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv("WEIR_SECRET"), os.Stdout, os.Stderr))
}

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, secret string, stdout, stderr io.Writer) int {
	opt, err := parse(args, secret, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "authservice:", err)
		return exitUsage
	}
	level := slog.LevelInfo
	if opt.try {
		level = slog.LevelError // the table is what counts
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	hup := make(chan os.Signal, 1)
	if opt.policy != "" {
		// From before the start until after the leave: a SIGHUP that nobody catches would end
		// the process, and with it a hand-over.
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
	}
	servers, err := start(ctx, opt, log)
	defer leave(servers, log)
	if err == nil && opt.policy != "" {
		var stop func()
		if stop, err = follow(ctx, opt, servers, hup, log); err == nil {
			defer stop()
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "authservice:", err)
		return codeOf(err)
	}
	greet(stdout, servers, opt)
	if !opt.try {
		<-ctx.Done()
		return 0
	}
	if err := try(ctx, stdout, servers); err != nil {
		fmt.Fprintln(stderr, "authservice:", err)
		return exitFailed
	}
	return 0
}

// codeOf tells what was asked for wrongly from what went wrong.
func codeOf(err error) int {
	for _, blame := range []error{cluster.ErrConfig, middleware.ErrPolicy, errPolicyFile} {
		if errors.Is(err, blame) {
			return exitUsage
		}
	}
	return exitFailed
}

// start starts the nodes, one after the other. After an error it returns those that run.
func start(ctx context.Context, opt options, log *slog.Logger) (servers []*service.Server, err error) {
	policy, err := opt.firstPolicy()
	if err != nil {
		return nil, err
	}
	keys, err := service.NewKeys(opt.secret)
	if err != nil {
		return nil, err
	}
	for i := range opt.nodes {
		c := service.Config{HTTP: following(opt.http, i), Policy: policy, Keys: keys, Cluster: cluster.Config{
			Name: opt.name, Bind: following(opt.bind, i), Join: opt.join, Secret: opt.secret,
			Split: opt.split, ExpectedNodes: opt.expected, Logger: log,
		}}
		if opt.nodes > 1 {
			c.Cluster.Name = fmt.Sprintf("node%d", i+1)
		}
		if opt.try {
			c.Cluster.CallTimeout = tryCallTimeout
		}
		if i > 0 {
			c.Cluster.Join = []string{servers[0].Node().Addr()}
		}
		s, err := service.Start(ctx, c)
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// leave ends the nodes: HTTP of all at once, then one node after the other, since each
// hands over to those that are left.
func leave(servers []*service.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveMax)
	defer cancel()
	var stopped sync.WaitGroup
	for _, s := range servers {
		stopped.Go(func() { s.StopHTTP(ctx) }) // Leave tells what became of it
	}
	stopped.Wait()
	for _, s := range slices.Backward(servers) {
		if err := s.Leave(ctx); err != nil {
			log.Warn("left in a hurry", "node", s.Node().Name(), "error", err)
		}
	}
}

// greet tells where the nodes are and what to try.
func greet(w io.Writer, servers []*service.Server, opt options) {
	for _, s := range servers {
		fmt.Fprintf(w, "%-12s http://%s   cluster %s\n", s.Node().Name(), s.HTTPAddr(), s.Node().Addr())
	}
	if opt.try {
		return
	}
	if len(opt.secret) == 0 {
		fmt.Fprintln(w, "no WEIR_SECRET: loopback only, and no other process can verify this one's tokens")
	}
	if opt.policy != "" {
		fmt.Fprintf(w, "policy: %s, reloaded when it changes, or at once by kill -HUP %d\n", opt.policy, os.Getpid())
	}
	first, last := servers[0].HTTPAddr(), servers[len(servers)-1].HTTPAddr()
	fmt.Fprintf(w, "\ntry:\n"+
		"  curl -i -X POST http://%s/v1/authorize\n"+
		"  curl -i -X POST http://%s/v1/token -d code=THE_CODE\n"+
		"  curl -i http://%s/v1/agents\n\n", first, last, last)
}
