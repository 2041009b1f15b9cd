package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
)

// Config is the configuration of one node of the service.
type Config struct {
	// Cluster is the node. Its Secret also makes the signing key.
	Cluster cluster.Config
	// HTTP is the address to serve at, "host:port"; port 0 picks one.
	HTTP string
	// Policy is what is limited. Use Policy().
	Policy middleware.Policy
	// Keys sign the tokens; nil makes them from the cluster's secret.
	Keys *Keys
}

// Server is one node of the service: a node of the cluster, and HTTP in front of it.
type Server struct {
	node   *cluster.Node
	http   *http.Server
	addr   net.Addr
	served chan struct{} // closed when the HTTP server has ended
	routes atomic.Pointer[http.Handler]
	guard  *middleware.Middleware // set once, before Start returns
}

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	// httpGrace is longer than any request of this service takes. Without it, a connection
	// that a client opened in advance and has not used holds up a Shutdown for five seconds.
	httpGrace = 2 * time.Second
)

// Start starts a node. HTTP is there at once; while the node joins, every request is
// answered with 503. The error wraps cluster.ErrConfig or middleware.ErrPolicy where the
// Config is to blame.
func Start(ctx context.Context, c Config) (_ *Server, err error) {
	if c.Keys == nil {
		if c.Keys, err = NewKeys(c.Cluster.Secret); err != nil {
			return nil, err
		}
	}
	if c.Cluster.Logger == nil {
		c.Cluster.Logger = slog.Default()
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", c.HTTP)
	if err != nil {
		return nil, fmt.Errorf("service: HTTP %q: %w", c.HTTP, err)
	}
	s := &Server{addr: ln.Addr(), served: make(chan struct{})}
	s.setRoutes(http.HandlerFunc(starting))
	s.http = &http.Server{
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(c.Cluster.Logger.Handler(), slog.LevelWarn),
		Handler: identified(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			(*s.routes.Load()).ServeHTTP(w, r)
		})),
	}
	go s.serve(ln, c.Cluster.Logger)
	if s.node, err = cluster.Start(ctx, c.Cluster); err != nil {
		s.Close()
		return nil, err
	}
	if s.guard, err = middleware.New(s.node, c.Policy); err != nil {
		s.Close()
		return nil, err
	}
	s.setRoutes(s.guard.Wrap(newApp(s.node, c.Keys)))
	return s, nil
}

func (s *Server) setRoutes(h http.Handler) { s.routes.Store(&h) }

func (s *Server) serve(ln net.Listener, log *slog.Logger) {
	defer close(s.served)
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		log.Error("HTTP ended", "addr", s.addr, "error", err)
	}
}

// starting answers before there is a node to ask.
func starting(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	fail(w, http.StatusServiceUnavailable, "STARTING", "The node is joining the cluster")
}

// Swap puts another policy in force for all requests that begin from now on; what clients
// have spent stays spent. A policy that cannot be leaves the old one in force, and the
// error wraps middleware.ErrPolicy.
func (s *Server) Swap(p middleware.Policy) error { return s.guard.Swap(p) }

// Node is the node of the cluster.
func (s *Server) Node() *cluster.Node { return s.node }

// HTTPAddr is the address that it serves at.
func (s *Server) HTTPAddr() string { return s.addr.String() }

// StopHTTP takes no more requests and finishes those that run. It is what Leave begins
// with.
func (s *Server) StopHTTP(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, httpGrace)
	defer cancel()
	err := s.http.Shutdown(limited)
	if err != nil {
		s.http.Close() // the counts are worth more than a request that does not end
	}
	<-s.served
	if ctx.Err() == nil {
		err = nil // only connections on which nobody asked anything
	}
	return err
}

// Leave ends a node so that nobody notices: first HTTP stops, then the node hands over
// what it counted and leaves.
func (s *Server) Leave(ctx context.Context) error {
	return errors.Join(s.StopHTTP(ctx), s.node.Leave(ctx))
}

// Close ends a node as a crash would.
func (s *Server) Close() {
	s.http.Close()
	<-s.served
	if s.node != nil {
		s.node.Close()
	}
}
