//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/examples/authservice/service"
	"github.com/weir-go/weir/integration/netnslab"
	"github.com/weir-go/weir/limiter"
)

// nsEnv holds the spec of a node in a namespace; with it this binary is that node.
const nsEnv = "WEIR_TEST_NETNS_NODE"

func init() {
	if text := os.Getenv(nsEnv); text != "" {
		os.Exit(runNsNode(text))
	}
}

// nsSpec is what a node in a namespace is to be. Its secret is in WEIR_SECRET.
type nsSpec struct {
	Name        string
	IP          string
	Join        []string
	Voters      []string
	CallTimeout time.Duration
}

// Ports of a node in a namespace. The probe listens on the host's loopback, which no cut
// reaches: it is how a test takes and looks on any node at any time.
const (
	nsClusterPort = "7946"
	nsHTTPPort    = "8080"
	nsProbeAddr   = "127.0.0.1:9000"
)

// runNsNode is the whole life of the node's process: the example's service, and the probe.
func runNsNode(text string) int {
	var s nsSpec
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
	policy := service.Policy()
	// The tests' client may be any client, by a header.
	policy.Address.Trusted = []netip.Prefix{netip.MustParsePrefix(netnslab.Network)}
	server, err := service.Start(ctx, service.Config{HTTP: net.JoinHostPort(s.IP, nsHTTPPort), Policy: policy,
		Cluster: cluster.Config{Name: s.Name, Bind: net.JoinHostPort(s.IP, nsClusterPort), Join: s.Join,
			Secret: []byte(os.Getenv("WEIR_SECRET")), CallTimeout: s.CallTimeout, Voters: s.Voters,
			ForgetAfter: 10 * time.Minute, // a split lasts as long as a busy machine makes it last
			Logger:      slog.New(slog.NewTextHandler(os.Stderr, nil))}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitStart
	}
	ln, err := net.Listen("tcp", nsProbeAddr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitStart
	}
	go http.Serve(ln, probe{server.Node()}) // ends with the process, after the node has left
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Leave(end); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitLeave
	}
	return 0
}

// probe is a node's Take and Stats over HTTP.
type probe struct{ node *cluster.Node }

// nsStats is the answer to GET /stats.
type nsStats struct {
	cluster.Stats
	Ready bool
}

// ServeHTTP answers /take and /stats.
func (p probe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	switch r.URL.Path {
	case "/stats":
		answer = nsStats{p.node.Stats(), p.node.Ready()}
	case "/take":
		key, l, cost := takeArguments(r.URL.Query())
		d, err := p.node.Take(r.Context(), key, l, cost)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer = d
	default:
		http.NotFound(w, r)
		return
	}
	json.NewEncoder(w).Encode(answer)
}

// takeQuery and takeArguments carry the arguments of a Take. What is not a number
// becomes 0, which Take refuses.
func takeQuery(key string, l limiter.Limit, cost int64) string {
	return url.Values{"key": {key}, "quota": {fmt.Sprint(l.Quota)}, "window": {l.Window.String()},
		"split": {fmt.Sprint(uint8(l.Split))}, "algorithm": {fmt.Sprint(uint8(l.Algorithm))}, "burst": {fmt.Sprint(l.Burst)},
		"lease": {fmt.Sprint(uint8(l.Lease))}, "cost": {fmt.Sprint(cost)}}.Encode()
}

func takeArguments(q url.Values) (key string, l limiter.Limit, cost int64) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(q.Get(name), 10, 64)
		return n
	}
	l = limiter.Limit{Quota: number("quota"), Burst: number("burst"), Algorithm: limiter.Algorithm(number("algorithm")),
		Split: limiter.Split(number("split")), Lease: limiter.Lease(number("lease"))}
	l.Window, _ = time.ParseDuration(q.Get("window"))
	return q.Get("key"), l, number("cost")
}
