package service

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// A node ends in four steps, so that no request is lost on the way:
//
//  1. GET /health says 503, and for the drain time the node goes on serving: whoever
//     watches it sends new requests elsewhere.
//  2. Meanwhile every answer says "Connection: close". A client that knows nothing of all
//     this so learns, with an answer, not to send its next request on that connection. To
//     close connections on which nobody asks just now would lose the request that is
//     already on its way.
//  3. Nobody new is let in (see quiesce), and the requests that run are finished.
//  4. The node hands over what it counted, and leaves the cluster.
//
// A connection that stays silent for all of the drain time is closed nevertheless; that a
// request may cross that is a weakness of HTTP/1.1, which clients know to retry.

// closing tells clients of a node that drains not to use their connection again.
func (s *Server) closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// StopHTTP drains, takes no more requests, and finishes those that run: the first three
// steps of an end. It is what Leave begins with. When ctx ends it stops at once.
func (s *Server) StopHTTP(ctx context.Context) error {
	s.stop.Do(func() { s.stopped = s.stopHTTP(ctx) })
	return s.stopped
}

func (s *Server) stopHTTP(ctx context.Context) error {
	s.draining.Store(true)
	pause(ctx, s.drain)
	s.listener.quiesce(ctx)
	s.listener.Close()
	<-s.served
	limited, cancel := context.WithTimeout(ctx, httpGrace)
	defer cancel()
	s.conns.settle(limited) // Shutdown would drop a request that it finds half read
	if err := s.http.Shutdown(limited); err != nil {
		s.http.Close() // the counts are worth more than a request that does not end
	}
	return ctx.Err()
}

// conns are the connections from which an answer may be expected: new ones, and those on
// which a request runs.
type conns struct {
	mu   sync.Mutex // guards busy
	busy map[net.Conn]bool
}

// track is the server's ConnState.
func (c *conns) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		c.busy[conn] = true
	default:
		delete(c.busy, conn)
	}
}

// settle waits until there are none, but not longer than ctx.
func (c *conns) settle(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		n := len(c.busy)
		c.mu.Unlock()
		if n == 0 {
			return
		}
		pause(ctx, time.Millisecond)
	}
}

// Leave ends a node so that nobody notices: first HTTP stops, then the node hands over
// what it counted and leaves.
func (s *Server) Leave(ctx context.Context) error {
	defer s.admin.close() // until then it shows how the node leaves
	return errors.Join(s.StopHTTP(ctx), s.node.Leave(ctx))
}

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
