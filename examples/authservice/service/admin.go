package service

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/weir-go/weir/cluster/status"
)

// The operator's port: the status page of the node, for who is on this machine. It has no
// authentication, so it is on loopback alone; from elsewhere it is reached by ssh -L, or through
// a proxy that asks who is there.

// StatusPath is where the page is.
const StatusPath = "/status"

// admin is the operator's port of one node.
type admin struct {
	page     *status.Page
	listener net.Listener
	http     *http.Server
}

// openAdmin serves the page, whose events the policy must bring.
func openAdmin(ctx context.Context, addr string, page *status.Page, log *slog.Logger) (*admin, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("service: admin %q: %w", addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle(StatusPath, fromHere(page))
	a := &admin{page: page, listener: l, http: &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, WriteTimeout: time.Minute}}
	go func() {
		if err := a.http.Serve(l); err != http.ErrServerClosed {
			log.Error("the admin port ended", "addr", addr, "error", err)
		}
	}()
	return a, nil
}

// fromHere refuses requests for another host: a page of some web site, whose name leads to this
// machine, could read the answer otherwise.
func fromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsLoopback(r.Host) {
			http.Error(w, "ask for 127.0.0.1 or localhost", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLoopback says whether a host, with a port or without, is this machine's own.
func IsLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// close ends the port, if there is one.
func (a *admin) close() {
	if a == nil {
		return
	}
	a.http.Close()
	a.page.Close()
}

// AdminAddr is the address of the operator's port, "" if there is none.
func (s *Server) AdminAddr() string {
	if s.admin == nil {
		return ""
	}
	return s.admin.listener.Addr().String()
}
