// Command lab is what the page's test in a browser looks at: three nodes over a simulated network, a service
// with clients of many kinds in front of each, and the page of the first node. It prints the page's address, and
// does what its standard input says: "load" (traffic), "split" (node1 on one side), "heal". It ends with its input.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

const (
	nodes   = 3
	clients = 400
	pause   = 4 * time.Millisecond // of each node's clients between requests
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run() error {
	network, load := simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), make(chan struct{})
	names, page := make([]string, nodes), (*status.Page)(nil)
	secret := cluster.NewSecret()
	for i := range nodes {
		name, ip := fmt.Sprint("node", i+1), fmt.Sprintf("10.0.0.%d", i+1)
		names[i] = name
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c := cluster.Config{Name: name, Bind: ip + ":7946", Secret: secret, Network: network.Host(name, ip), Logger: slog.New(slog.DiscardHandler)}
		if i > 0 {
			c.Join = []string{"10.0.0.1:7946"}
		}
		n, err := cluster.Start(ctx, c)
		if err != nil {
			return err
		}
		defer n.Close()
		p := status.Handler(n, status.Config{AllowReset: true, Logger: c.Logger})
		defer p.Close()
		guard, err := middleware.New(n, limits(p))
		if err != nil {
			return err
		}
		p.Guard(guard)
		if page == nil {
			page = p
		}
		go visit(guard, load)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: page, ReadHeaderTimeout: 5 * time.Second}
	defer server.Close()
	go server.Serve(listener)
	fmt.Printf("http://%s/\n", listener.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "load":
			close(load)
		case "split":
			network.Partition(names[:1], names[1:])
		case "heal":
			network.Heal()
		}
	}
	return nil
}

func limits(p *status.Page) middleware.Policy {
	login := middleware.Rule{Name: "login", Limit: limiter.Per(30, time.Minute), Ban: middleware.Ban{After: 200, For: time.Minute}}
	return middleware.Policy{
		Always:     []middleware.Rule{{Name: "everybody", Limit: limiter.Per(200_000, time.Minute), Key: middleware.Shared()}},
		Default:    []middleware.Rule{{Name: "default", Limit: limiter.Sliding(300, time.Minute)}},
		Routes:     []middleware.Route{middleware.On("POST /login", login)},
		OnDecision: p.OnDecision,
	}
}

// visit sends requests of many clients, of which few send most, from when it is told to.
func visit(guard *middleware.Middleware, begin <-chan struct{}) {
	h := guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	<-begin
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.3, 1, clients)
	for every := time.NewTicker(pause); ; <-every.C {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if rand.IntN(3) == 0 {
			r = httptest.NewRequest(http.MethodPost, "/login", nil)
		}
		n := zipf.Uint64()
		r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1234", 100+n/200, 1+n%200)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
