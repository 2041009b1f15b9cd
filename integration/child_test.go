package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
)

// spec is what a child is to be. It travels as JSON in the environment.
type spec struct {
	Name        string
	Bind        string // empty: a free port of loopback
	Join        []string
	Secret      string
	CallTimeout time.Duration
	Window      time.Duration // of every limit; 0: the policy's own

	program string // empty: this test's own
}

// told is what a child prints once it runs: where it is.
type told struct{ HTTP, Bind, Version string }

// Exit codes of a child.
const (
	exitStart  = 10
	exitOrphan = 11
	exitLeave  = 12
)

// runChild is the whole life of a node's process.
func runChild(text string) int {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitStart
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // the test holds the other end, and is gone when this ends
		io.Copy(io.Discard, os.Stdin)
		os.Exit(exitOrphan)
	}()
	server, err := service.Start(ctx, s.config())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitStart
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	tell := json.NewEncoder(os.Stdout)
	tell.Encode(told{server.HTTPAddr(), server.Node().Addr(), cluster.Version})
	for ctx.Err() == nil {
		select {
		case <-asked:
			tell.Encode(server.Node().Members())
		case <-ctx.Done():
		}
	}
	end, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Leave(end); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitLeave
	}
	return 0
}

// config makes the service's configuration.
func (s spec) config() service.Config {
	policy := service.Policy()
	// Tests may be any client by a header. Without one the socket's address counts.
	policy.Address.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if s.Window > 0 {
		for i := range policy.Default {
			policy.Default[i].Limit.Window = s.Window
		}
		for _, route := range policy.Routes {
			for i := range route.Rules {
				route.Rules[i].Limit.Window = s.Window
			}
		}
	}
	return service.Config{HTTP: "127.0.0.1:0", Policy: policy, Cluster: cluster.Config{
		Name: s.Name, Bind: s.Bind, Join: s.Join, Secret: []byte(s.Secret), CallTimeout: s.CallTimeout,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}}
}
