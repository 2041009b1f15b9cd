// Package clientlab is a service to try rate limit clients against: three real nodes
// share its budget, one address serves all three in turn, and it keeps when each call
// arrived, so that a test can measure at the server. The clients of all languages are
// tested with it; serve is the program.
package clientlab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// Config says what the service limits.
type Config struct {
	// Quota and Window are the limit of POST /v1/token, for all clients together.
	Quota  int64
	Window time.Duration
	// Nodes is how many nodes serve; 0 means 3.
	Nodes int
}

// Call is one request to POST /v1/token as the server saw it.
type Call struct {
	Client     string        `json:"client"`     // its X-Client header
	At         time.Duration `json:"at"`         // since the start, when it arrived, in nanoseconds
	Answered   time.Duration `json:"answered"`   // when its headers left
	Status     int           `json:"status"`     // of the answer
	RetryAfter int64         `json:"retryAfter"` // of the answer, 0 without one
	Reset      int64         `json:"reset"`      // of the answer: which window it was counted in
	Node       int           `json:"node"`       // which of the nodes answered
}

// Lab is the running service. It is safe for concurrent use.
type Lab struct {
	// URL is where it serves: POST /v1/token is limited, GET /lab/calls and
	// GET /lab/windows show Calls and Windows as JSON.
	URL string

	start  time.Time
	near   int64 // resets of one window are no further apart, in seconds
	nodes  []*cluster.Node
	server *http.Server
	served chan struct{}
	turn   atomic.Int64

	mu      sync.Mutex // guards calls and windows
	calls   []Call
	windows []Window
}

// Start starts the nodes and the server, on free ports of loopback. Close ends them.
func Start(ctx context.Context, c Config) (*Lab, error) {
	if c.Nodes == 0 {
		c.Nodes = 3
	}
	l := &Lab{start: time.Now(), near: max(1, int64(c.Window/time.Second)/2), served: make(chan struct{})}
	guarded, err := l.guard(ctx, c)
	if err != nil {
		l.closeNodes()
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.closeNodes()
		return nil, err
	}
	l.URL = "http://" + ln.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /lab/calls", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(l.Calls()) })
	mux.HandleFunc("GET /lab/windows", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(l.Windows()) })
	mux.HandleFunc("POST /v1/token", func(w http.ResponseWriter, r *http.Request) { l.serve(w, r, guarded) })
	l.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(l.served)
		_ = l.server.Serve(ln) // ends with Close
	}()
	return l, nil
}

// guard starts the nodes, and returns the guarded handler of each.
func (l *Lab) guard(ctx context.Context, c Config) ([]http.Handler, error) {
	// One budget for whoever asks: what is tried is how clients share it.
	policy := middleware.Policy{Default: []middleware.Rule{{Name: "token", Key: middleware.Shared(),
		Limit: limiter.Per(c.Quota, c.Window)}}}
	issue := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"grantToken":"t"}`))
	})
	var guarded []http.Handler
	var join []string
	for i := range c.Nodes {
		node, err := cluster.Start(ctx, cluster.Config{Name: "node-" + strconv.Itoa(i), Bind: "127.0.0.1:0", Join: join,
			Secret: []byte("the secret of the client laboratory"), CallTimeout: time.Second})
		if err != nil {
			return nil, err
		}
		l.nodes = append(l.nodes, node)
		join = append(join, node.Addr())
		m, err := middleware.New(node, policy)
		if err != nil {
			return nil, err
		}
		guarded = append(guarded, m.Wrap(issue))
	}
	return guarded, l.together(ctx, c.Nodes)
}

// together waits until every node sees all others.
func (l *Lab) together(ctx context.Context, n int) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, node := range l.nodes {
		for s := node.Stats(); s.Live < n || s.Pending > 0; s = node.Stats() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("clientlab: %d nodes are not together: %w", n, context.Cause(ctx))
			}
		}
	}
	return nil
}

// serve passes a request to the node whose turn it is, and notes it.
func (l *Lab) serve(w http.ResponseWriter, r *http.Request, guarded []http.Handler) {
	call := Call{Client: r.Header.Get("X-Client"), At: time.Since(l.start)}
	call.Node = int(l.turn.Add(1)) % len(guarded)
	noted := &noting{ResponseWriter: w, status: http.StatusOK}
	guarded[call.Node].ServeHTTP(noted, r)
	call.Answered, call.Status = noted.at.Sub(l.start), noted.status
	call.RetryAfter, _ = strconv.ParseInt(w.Header().Get("Retry-After"), 10, 64)
	call.Reset, _ = strconv.ParseInt(w.Header().Get("X-RateLimit-Reset"), 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLocked(call)
}

// noting keeps the status of an answer, and when it left.
type noting struct {
	http.ResponseWriter
	status int
	at     time.Time
}

func (n *noting) WriteHeader(status int) {
	n.status, n.at = status, time.Now()
	n.ResponseWriter.WriteHeader(status)
}

// Calls are all calls so far, in the order in which they were answered.
func (l *Lab) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Call{}, l.calls...)
}

// Close ends the server and the nodes.
func (l *Lab) Close() {
	_ = l.server.Close()
	<-l.served
	l.closeNodes()
}

func (l *Lab) closeNodes() {
	for _, node := range l.nodes {
		node.Close()
	}
}

// Window is what became of the calls in one window.
type Window struct {
	Reset    int64 `json:"reset"` // when it ends, Unix time
	Admitted int64 `json:"admitted"`
	Refused  int64 `json:"refused"`
}

// Windows are all windows so far, in their order. The first and the last can be cut
// short by the start and the end.
func (l *Lab) Windows() []Window {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Window{}, l.windows...)
}

// noteLocked counts a call in its window. A call of the window before can be noted late,
// and the nodes may show one reset as different seconds.
func (l *Lab) noteLocked(c Call) {
	l.calls = append(l.calls, c)
	i := slices.IndexFunc(l.windows, func(w Window) bool { return max(w.Reset-c.Reset, c.Reset-w.Reset) <= l.near })
	if i < 0 {
		l.windows = append(l.windows, Window{Reset: c.Reset})
		i = len(l.windows) - 1
	}
	if c.Status == http.StatusTooManyRequests {
		l.windows[i].Refused++
	} else {
		l.windows[i].Admitted++
	}
}
