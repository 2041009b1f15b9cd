package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/status"
	"github.com/weir-go/weir/middleware"
)

// Config is the configuration of one node of the service.
type Config struct {
	// Cluster is the node.
	Cluster cluster.Config
	// HTTP is the address to serve at, "host:port"; port 0 picks one.
	HTTP string
	// Policy is what is limited. Use Policy().
	Policy middleware.Policy
	// Keys sign and seal; nil makes them from the cluster's secret.
	Keys *Keys
	// Agents is the memory that all nodes share; nil if they are in several processes.
	Agents *Agents
	// Issuer is the URL at which clients know the service: tokens name it, and consents are
	// given there. Empty means the address that this node serves at.
	Issuer string
	// Origins are those whose scripts may use the service from a browser; "*" means all.
	Origins []string
	// Admin is the loopback address of the operator's port, which has the status page; "" means that there is none.
	Admin string
	// Drain is how long a node that ends goes on serving, so that everybody learns of it.
	Drain time.Duration
}

// Server is one node of the service: a node of the cluster, and HTTP in front of it.
type Server struct {
	node     *cluster.Node
	guard    *middleware.Middleware
	listener listener
	http     *http.Server
	conns    conns
	page     *status.Page // nil without an operator's port
	admin    *admin
	served   chan struct{} // closed when nothing is accepted any more

	expose   bool // the limit headers, to scripts
	drain    time.Duration
	draining atomic.Bool
	stop     sync.Once // of stopHTTP
	stopped  error     // what came of it
}

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	// httpGrace is longer than any request of this service takes. Without it, a connection
	// that a client opened in advance and has not used holds up a Shutdown for five seconds.
	httpGrace = 2 * time.Second

	leaveMax = 5 * time.Second // for a node that started, and cannot serve
	// readySlow is when a start that takes long is worth a line in the log.
	readySlow = 10 * time.Second
)

// Start starts a node, and returns when it can answer: HTTP is not there before, so no
// client meets a node that is not ready. The error wraps cluster.ErrConfig or
// middleware.ErrPolicy where the Config is to blame.
func Start(ctx context.Context, c Config) (_ *Server, err error) {
	if c.Keys == nil {
		secret := c.Cluster.IDSecret // it stays when the others change
		if len(secret) == 0 {
			secret = c.Cluster.Secret
		}
		if c.Keys, err = NewKeys(secret, nil); err != nil {
			return nil, err
		}
	}
	if c.Cluster.Logger == nil {
		c.Cluster.Logger = slog.Default()
	}
	s := &Server{served: make(chan struct{}), conns: conns{busy: map[net.Conn]bool{}}, drain: c.Drain, expose: len(c.Origins) > 0}
	c.Policy = s.exposing(c.Policy)
	if err := c.Policy.Check(); err != nil {
		return nil, err // before others have to deal with a node that cannot serve
	}
	if s.node, err = cluster.Start(ctx, c.Cluster); err != nil {
		return nil, err
	}
	if err := s.open(ctx, c); err != nil {
		// It may hold budgets by now, which the others should have back.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveMax)
		defer cancel()
		return nil, errors.Join(err, s.node.Leave(end))
	}
	return s, nil
}

// open puts HTTP in front of a node that has started.
func (s *Server) open(ctx context.Context, c Config) (err error) {
	if c.Admin != "" {
		s.page = status.Handler(s.node, status.Config{Logger: c.Cluster.Logger})
		defer func() {
			if err != nil {
				s.page.Close()
			}
		}()
	}
	if s.guard, err = middleware.New(s.node, s.exposing(c.Policy)); err != nil {
		return err
	}
	if err := s.awaitReady(ctx, c.Cluster.Logger); err != nil {
		return fmt.Errorf("service: node %s: not ready: %w", s.node.Name(), err)
	}
	if s.listener, err = listen(ctx, c.HTTP); err != nil {
		return fmt.Errorf("service: HTTP %q: %w", c.HTTP, err)
	}
	if s.page != nil {
		s.page.Guard(s.guard)
		if s.admin, err = openAdmin(ctx, c.Admin, s.page, c.Cluster.Logger); err != nil {
			s.listener.Close()
			return err
		}
	}
	a := &app{marks: marks{s.node}, keys: c.Keys, agents: c.Agents, health: s.health,
		issuer: cmp.Or(c.Issuer, "http://"+s.HTTPAddr())}
	s.http = &http.Server{
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ConnState:         s.conns.track,
		ErrorLog:          slog.NewLogLogger(c.Cluster.Logger.Handler(), slog.LevelWarn),
		Handler:           s.closing(crossOrigin(c.Origins, identified(s.guard.Wrap(a.handler())))),
	}
	go s.serve(c.Cluster.Logger)
	return nil
}

// awaitReady waits until the node can answer.
func (s *Server) awaitReady(ctx context.Context, log *slog.Logger) error {
	slow := time.AfterFunc(readySlow, func() {
		if c := s.node.Condition(); !c.Ready { // else it has just become so
			log.Warn("waiting to be ready before HTTP opens", "node", s.node.Name(), "why", c.Reasons)
		}
	})
	defer slow.Stop()
	return s.node.WaitReady(ctx)
}

func (s *Server) serve(log *slog.Logger) {
	defer close(s.served)
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		log.Error("HTTP ended", "addr", s.HTTPAddr(), "error", err)
	}
}

// health is what GET /health tells.
func (s *Server) health() (ok bool, name string, nodes int) {
	return s.node.Ready() && !s.draining.Load(), s.node.Name(), s.node.Stats().Live
}

// Swap puts another policy in force for all requests that begin from now on; what clients
// have spent stays spent. A policy that cannot be leaves the old one in force, and the
// error wraps middleware.ErrPolicy.
func (s *Server) Swap(p middleware.Policy) error { return s.guard.Swap(s.exposing(p)) }

// exposing lets scripts of other origins, where there are any, read the limit headers, and the status page
// hear of decisions.
func (s *Server) exposing(p middleware.Policy) middleware.Policy {
	p.ExposeHeaders = p.ExposeHeaders || s.expose
	if s.page != nil {
		p.OnDecision = s.page.OnDecision
	}
	return p
}

// Node is the node of the cluster.
func (s *Server) Node() *cluster.Node { return s.node }

// HTTPAddr is the address that it serves at.
func (s *Server) HTTPAddr() string { return s.listener.Addr().String() }

// Close ends a node as a crash would.
func (s *Server) Close() {
	s.admin.close()
	s.http.Close()
	<-s.served
	s.node.Close()
}
