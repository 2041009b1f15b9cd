package middlewaretest

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// row is one row of the contract.
type row struct {
	name string
	run  func(t *testing.T, over setup)
}

// rows are all that a server must do.
var rows = []row{
	{"each route admits its limit, one after the other", routeLimits},
	{"each route admits its limit, concurrently", routeLimitsConcurrently},
	{"the default is one budget for all routes without their own", defaultIsShared},
	{"a route's own limit replaces the default", routesAreSeparate},
	{"public keys are exempt and carry no header", exempt},
	{"every client has its own budget", perClient},
	{"the most specific pattern wins", specificWins},
	{"no spelling escapes a limited route, and none widens an exemption", spellings},
	{"every limited response carries the headers", everyResponse},
	{"the header values", headerValues},
	{"429", tooManyRequests},
	{"request ids", requestIDs},
	{"waiting Retry-After suffices", retryAfterSuffices},
	{"at the reset the window is full", resetIsFull},
	{"503 where a limit fails closed", failsClosed},
	{"stacked limits", stacked},
	{"stacked limits, concurrently", stackedConcurrently},
	{"an absent key is refused when the others have spent", absentKeys},
	{"a failed login alone counts", outcomes},
	{"plans", plans},
	{"costs", costs},
	{"shadow rules", shadow},
	{"another policy at run time", swaps},
	{"other dialects", dialects},
	{"problem+json and own responders", responders},
}

// Contract runs the contract's rows as subtests of name, with the server of the standard
// library. newLimiter is called once per row and returns limiters that share their budgets:
// one for a process, one per node for a cluster, to whom the requests go in turn. Two rows wait
// a second each.
func Contract(t *testing.T, name string, newLimiter func(t *testing.T) []middleware.Limiter) []Row {
	return contract(t, name, setup{server: Wrapped, outside: true}, newLimiter)
}

// ServerContract is Contract for another way to put a middleware in front of handlers: for an
// adapter of a framework.
func ServerContract(t *testing.T, name string, server Server, newLimiter func(t *testing.T) []middleware.Limiter) []Row {
	return contract(t, name, setup{server: server}, newLimiter)
}

func contract(t *testing.T, name string, over setup, newLimiter func(t *testing.T) []middleware.Limiter) (became []Row) {
	t.Run(name, func(t *testing.T) {
		for _, r := range rows {
			ok := t.Run(r.name, func(t *testing.T) {
				over.limiters = newLimiter(t)
				r.run(t, over)
			})
			became = append(became, Row{r.name, ok})
		}
	})
	return became
}

// reference is the contract's table: a request of each limited kind, and its limit.
var reference = []struct {
	route string
	limit int64
}{
	{"POST /v1/authorize", 10},
	{"POST /v1/token", 20},
	{"POST /v1/token/refresh", 20},
	{"GET /v1/agents", 100},
}

// A client that sends one request after the other is admitted exactly as often as the table
// says, counted down by the headers, and then not once more. The requests go to all nodes in
// turn, so this is also where a node that counted for itself would be caught.
func routeLimits(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	for _, ref := range reference {
		c := s.settled(ref.route)
		for i := int64(1); i < ref.limit; i++ {
			a := s.send(request{client: c, route: ref.route})
			require.Equal(t, http.StatusOK, a.status, "%s, request %d", ref.route, i+1)
			require.Equal(t, ref.limit-1-i, number(t, a, "X-RateLimit-Remaining"), "%s, request %d", ref.route, i+1)
		}
		for range 5 {
			assert.Equal(t, http.StatusTooManyRequests, s.send(request{client: c, route: ref.route}).status, ref.route)
		}
	}
}

// The same with sixteen senders at once. Exactly the limit: one more would be a race between
// looking and taking, one less a request that was counted twice.
func routeLimitsConcurrently(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	for _, ref := range reference {
		c := s.settled(ref.route)
		admitted := atomic.Int64{}
		admitted.Store(1)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 1 + ref.limit/8 {
					if s.send(request{client: c, route: ref.route}).status == http.StatusOK {
						admitted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		assert.Equal(t, ref.limit, admitted.Load(), ref.route)
	}
}

// "one budget for all the routes that have no limit of their own": also those that do not
// exist, or scanning for pages would be free.
func defaultIsShared(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	c := s.settled("GET /v1/agents")
	admitted := 1
	for range 50 {
		for _, route := range []string{"GET /v1/agents", "GET /health", "GET /no/such/page"} {
			if s.send(request{client: c, route: route}).status != http.StatusTooManyRequests {
				admitted++
			}
		}
	}
	assert.Equal(t, 100, admitted)
}

// "A route's own limit replaces the default for that route: the two are separate budgets, and
// a request spends from one."
func routesAreSeparate(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	c := s.settled("POST /v1/token")
	for range 20 {
		s.send(request{client: c, route: "POST /v1/token"})
	}
	assert.Equal(t, http.StatusTooManyRequests, s.send(request{client: c, route: "POST /v1/token"}).status)
	for route, left := range map[string]int64{"GET /health": 99, "POST /v1/token/refresh": 19, "POST /v1/authorize": 9} {
		a := s.send(request{client: c, route: route})
		assert.Equal(t, http.StatusOK, a.status, route)
		assert.Equal(t, left, number(t, a, "X-RateLimit-Remaining"), route)
	}
}

// "public keys are never throttled; carries no rate-limit header": the method belongs to the
// pattern, so only GET (and with it HEAD) is exempt.
func exempt(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	c := s.settled("GET /health")
	for range 120 {
		a := s.send(request{client: c, route: "GET /.well-known/jwks.json"})
		require.Equal(t, http.StatusOK, a.status)
		require.Empty(t, limitHeaders(a.header))
	}
	a := s.send(request{client: c, route: "GET /health"})
	assert.Equal(t, int64(98), number(t, a, "X-RateLimit-Remaining"), "exempt requests spend nothing")
	a = s.send(request{client: c, route: "POST /.well-known/jwks.json"})
	assert.Equal(t, int64(97), number(t, a, "X-RateLimit-Remaining"), "only GET is exempt")
}

// "A limit counts per client", and by the address unless the policy says otherwise.
func perClient(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	c := s.settled("POST /v1/authorize")
	for range 10 {
		s.send(request{client: c, route: "POST /v1/authorize"})
	}
	assert.Equal(t, http.StatusTooManyRequests, s.send(request{client: c, route: "POST /v1/authorize"}).status)
	a := s.send(request{client: s.client(), route: "POST /v1/authorize"})
	assert.Equal(t, http.StatusOK, a.status)
	assert.Equal(t, int64(9), number(t, a, "X-RateLimit-Remaining"))
}

// "A request never escapes a limited route by another spelling of the same thing", and "a
// spelling never widens an exemption": at most a router has led to the exempt handler itself, which
// an adapter inside of the router can know.
func spellings(t *testing.T, over setup) {
	s := newService(t, over, middleware.ReferencePolicy())
	for _, path := range []string{"/v1/token/", "//v1/token", "/v1//token", "/v1%2Ftoken", "/v1%2ftoken", "/v1/%74oken", "/v1/./token", "/x/../v1/token", "/v1/token%2F"} {
		a := s.send(request{client: s.client(), route: "POST " + path})
		if !over.outside && a.status != http.StatusOK && number(t, a, "X-RateLimit-Limit") == 100 {
			continue // to its router it is another path, which has no handler
		}
		assert.Equal(t, int64(20), number(t, a, "X-RateLimit-Limit"), path)
	}
	for _, path := range []string{"/.well-known/jwks.json/", "//.well-known/jwks.json", "/.well-known%2Fjwks.json", "/.well-known/%6awks.json", "/x/../.well-known/jwks.json"} {
		a := s.send(request{client: s.client(), route: "GET " + path})
		if !over.outside && a.status == http.StatusOK && len(limitHeaders(a.header)) == 0 {
			continue
		}
		assert.Equal(t, int64(100), number(t, a, "X-RateLimit-Limit"), path)
	}
}

// daily is a rule whose window does not turn while a test runs.
func daily(name string, quota int64) middleware.Rule {
	return middleware.Rule{Name: name, Limit: limiter.Per(quota, 24*time.Hour)}
}

// "Patterns are those of Go's http.ServeMux, the most specific wins", also where the mux would
// clean the path, decode it, or serve HEAD by GET: whoever could reach a route by another
// spelling would reach it past its limit.
func specificWins(t *testing.T, over setup) {
	s := newService(t, over, middleware.Policy{
		Default: []middleware.Rule{daily("default", 1)},
		Routes: []middleware.Route{
			middleware.On("/v1/", daily("v1", 2)),
			middleware.On("GET /v1/agents/{id}", daily("agent", 3)),
			middleware.On("GET /v1/agents/me", daily("me", 4)),
			middleware.On("/v1/agents/{id}", daily("any agent", 5)),
		},
	})
	for route, limit := range map[string]int64{
		"GET /":               1,
		"GET /v1/agents":      2,
		"GET /v1/agents/7":    3,
		"HEAD /v1/agents/7":   3,
		"GET /v1/agents/me":   4,
		"POST /v1/agents/7":   5,
		"GET /v1/agents/7/x":  2,
		"GET /v1//agents/7":   3, // the mux redirects there
		"GET /v1/agents/%37":  3,
		"GET /v1/x/../agents": 2,
	} {
		a := s.send(request{client: s.client(), route: route})
		got := number(t, a, "X-RateLimit-Limit")
		if !over.outside && route == "GET /v1/agents/7/x" && got == 3 {
			continue // a router whose last wildcard takes the rest of the path
		}
		assert.Equal(t, limit, got, route)
	}
}
