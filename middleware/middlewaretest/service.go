package middlewaretest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
)

// service is an auth service on several nodes that share their budgets.
type service struct {
	t        *testing.T
	guards   []*middleware.Middleware
	nodes    []http.Handler
	turn     atomic.Int64 // requests so far; the next one goes to node turn modulo nodes
	clientID atomic.Int64 // clients so far
}

// setup is what a row runs on.
type setup struct {
	limiters []middleware.Limiter // that share their budgets
	server   Server
	outside  bool // the middleware stands around the router and cannot know what it chose
}

// newService puts a middleware with the policy and the same handlers behind each limiter.
func newService(t *testing.T, over setup, p middleware.Policy) *service {
	t.Helper()
	require.NotEmpty(t, over.limiters)
	s := &service{t: t}
	for _, l := range over.limiters {
		m, err := middleware.New(l, p)
		require.NoError(t, err)
		s.guards = append(s.guards, m)
		s.nodes = append(s.nodes, over.server(t, m, endpoints()))
	}
	return s
}

// swap puts another policy in force on all nodes.
func (s *service) swap(p middleware.Policy) {
	for _, m := range s.guards {
		require.NoError(s.t, m.Swap(p))
	}
}

// request is one request of a client.
type request struct {
	client string // IP address
	route  string // method and path
	header map[string]string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request to the next node. It is safe for concurrent use.
func (s *service) send(q request) answer {
	method, path, _ := strings.Cut(q.route, " ")
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = q.client + ":40000"
	for k, v := range q.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	n := int(s.turn.Add(1)) % len(s.nodes)
	s.nodes[n].ServeHTTP(w, r)
	return answer{w.Code, w.Result().Header, w.Body.String()}
}

// client is an address that no request came from yet.
func (s *service) client() string {
	n := s.clientID.Add(1)
	return fmt.Sprintf("198.18.%d.%d", n/250, 1+n%250)
}

// settled is a new client whose window for the route will not turn for a while, so that
// a count cannot be cut in two by the clock. One request of its budget is used.
func (s *service) settled(route string) string {
	const while = 20 // seconds
	for range 100 {
		c := s.client()
		a := s.send(request{client: c, route: route})
		reset, err := strconv.ParseInt(a.header.Get("X-RateLimit-Reset"), 10, 64)
		require.NoError(s.t, err, "X-RateLimit-Reset of %s: %v", route, a.header)
		if reset-time.Now().Unix() > while {
			return c
		}
	}
	require.FailNow(s.t, "no client has a window with time left")
	return ""
}

// limitHeaders lists those of h's names that speak of limits.
func limitHeaders(h http.Header) []string {
	var names []string
	for name := range h {
		if strings.Contains(strings.ToLower(name), "ratelimit") || name == "Retry-After" {
			names = append(names, name)
		}
	}
	return names
}

// number is a header that must be a whole number.
func number(t *testing.T, a answer, name string) int64 {
	t.Helper()
	require.Len(t, a.header.Values(name), 1, "%s of %v", name, a.header)
	n, err := strconv.ParseInt(a.header.Get(name), 10, 64)
	require.NoError(t, err, name)
	return n
}
