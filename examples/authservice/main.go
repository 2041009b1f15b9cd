// Command authservice is an auth service whose nodes share one budget per client.
//
// It reads its flags, starts one or several nodes (package service), prints where they
// are, and serves until SIGTERM or Ctrl-C; then the nodes leave without losing a request. With -try it
// sends itself demonstration traffic instead, prints what was admitted, and exits 0 only
// if every budget held exactly.
//
// One node per process or machine:
//
//	WEIR_SECRET=… authservice -nodes 1 -name a -bind 10.0.0.1:7946 -http :8080
//	WEIR_SECRET=… authservice -nodes 1 -name b -bind 10.0.0.2:7946 -http :8080 -join 10.0.0.1:7946
//
// With -policy the limits come from a file, and follow it as it changes. README.md shows
// the API, and what a shared limiter does for it beyond limiting.
package main

import (
	"cmp"
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
	// leaveMax is how long a graceful end may take, beside the drain.
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
	if opt.version {
		fmt.Fprintf(stdout, "authservice, weir %s, wire %s\n", cluster.Version, cluster.Wire)
		return 0
	}
	level := slog.LevelInfo
	if opt.try {
		level = slog.LevelError // the table is what counts
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	limits, stop, err := openLimits(opt, log)
	if err != nil {
		fmt.Fprintln(stderr, "authservice:", err)
		return codeOf(err)
	}
	defer stop() // after the leave
	follow, unfollow := followSecrets(opt, log)
	defer unfollow() // after the leave, too
	log.Info("starting", "weir", cluster.Version, "wire", cluster.Wire)
	servers, err := start(ctx, opt, limits, log)
	defer leave(servers, opt, log)
	if errors.Is(err, context.Canceled) {
		return 0 // told to end before it had begun
	}
	if err != nil {
		fmt.Fprintln(stderr, "authservice:", err)
		return codeOf(err)
	}
	follow(servers)
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
func start(ctx context.Context, opt options, limits *limits, log *slog.Logger) (servers []*service.Server, err error) {
	c := service.Config{Policy: limits.policy(), Issuer: opt.issuer, Origins: opt.origins, Drain: opt.drain,
		Cluster: cluster.Config{Name: opt.name, Advertise: opt.advertise, Join: opt.join,
			Split: opt.split, Voters: opt.voters, ExpectedNodes: opt.expected, CallTimeout: opt.timeout, Logger: log}}
	opt.prove(&c.Cluster)
	secret := opt.lasting()
	if opt.alone() {
		secret, c.Agents = nil, service.NewAgents()
	}
	if c.Keys, err = service.NewKeys(secret, opt.signing); err != nil {
		return nil, err
	}
	if opt.try {
		c.Drain = 0
		c.Cluster.CallTimeout = cmp.Or(opt.timeout, tryCallTimeout)
	}
	for i := range opt.nodes {
		c.HTTP, c.Cluster.Bind = following(opt.http, i), following(opt.bind, i)
		if opt.admin != "" {
			c.Admin = following(opt.admin, i)
		}
		if opt.nodes > 1 {
			c.Cluster.Name = nodeName(i)
		}
		s, err := service.Start(ctx, c)
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
		if err := limits.add(s); err != nil {
			return servers, err
		}
		if i == 0 {
			c.Cluster.Join = []string{s.Node().Addr()}
			c.Issuer = cmp.Or(c.Issuer, "http://"+reachable(s.HTTPAddr()))
		}
	}
	return servers, nil
}

// leave ends the nodes: HTTP of all at once, then one node after the other, since each
// hands over to those that are left.
func leave(servers []*service.Server, opt options, log *slog.Logger) {
	if len(servers) == 0 {
		return
	}
	log.Info("leaving", "drain", opt.drain)
	ctx, cancel := context.WithTimeout(context.Background(), opt.drain+leaveMax)
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
	for _, s := range servers {
		if s.AdminAddr() != "" {
			fmt.Fprintf(w, "%-12s http://%s%s\n", "status", s.AdminAddr(), service.StatusPath)
		}
	}
	if opt.alone() {
		fmt.Fprintln(w, "this process is the whole service: its agents and tokens live as long as it")
	}
	if opt.policy != "" {
		fmt.Fprintf(w, "policy: %s, reloaded when it changes, or at once by kill -HUP %d\n", opt.policy, os.Getpid())
	}
	at := func(i int) string { return "http://" + reachable(servers[i%len(servers)].HTTPAddr()) }
	fmt.Fprintf(w, "\ntry, each at another node:\n"+
		"  curl -i %s/v1/agents\n"+
		"  curl -i %s/v1/authorize -d '{\"agentId\":\"agent-1\",\"principalId\":\"me\",\"scopes\":[\"billing:read\"]}'\n"+
		"  curl -i %s/v1/token -d '{\"agentId\":\"agent-1\",\"code\":\"THE_CODE\"}'\n\n", at(0), at(1), at(2))
}
