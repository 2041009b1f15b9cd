package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// sink is the cheapest ResponseWriter: what a benchmark shows above it is ours.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// bare is a handler that does nothing.
var bare = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// generous is the reference policy with limits that a benchmark does not reach.
func generous() middleware.Policy {
	p := middleware.ReferencePolicy()
	p.Default[0].Limit.Quota = limiter.MaxQuota
	for _, r := range p.Routes {
		for i := range r.Rules {
			r.Rules[i].Limit.Quota = limiter.MaxQuota
		}
	}
	return p
}

// guarded is the bare handler behind a middleware over a local limiter.
func guarded(tb testing.TB, p middleware.Policy) http.Handler {
	m, err := middleware.New(limiter.NewLocal(limiter.Config{MaxKeys: 1 << 16}), p)
	require.NoError(tb, err)
	return m.Wrap(bare)
}

func BenchmarkMiddleware(b *testing.B) {
	login := generous()
	login.Default[0].Count = middleware.CountFailures
	stack := generous()
	stack.Always = []middleware.Rule{{Name: "all", Limit: limiter.Per(limiter.MaxQuota, time.Minute), Key: middleware.Shared()}}
	denied := middleware.Policy{Default: []middleware.Rule{{Name: "default", Limit: limiter.Per(1, time.Hour)}}}
	ietf := generous()
	ietf.Dialects = middleware.IETF
	for _, c := range []struct {
		name, method, path string
		handler            http.Handler
	}{
		{"bare", "POST", "/v1/token", bare},
		{"exempt", "GET", "/.well-known/jwks.json", guarded(b, generous())},
		{"route", "POST", "/v1/token", guarded(b, generous())},
		{"default", "GET", "/v1/agents", guarded(b, generous())},
		{"ietf", "POST", "/v1/token", guarded(b, ietf)},
		{"outcome", "GET", "/v1/agents", guarded(b, login)},
		{"stack of two", "POST", "/v1/token", guarded(b, stack)},
		{"denied", "GET", "/v1/agents", guarded(b, denied)},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(c.method, c.path, nil)
			w := &sink{make(http.Header, 8)}
			b.ReportAllocs()
			for b.Loop() {
				c.handler.ServeHTTP(w, r)
			}
		})
	}
}

// The header values are one array of three strings, and one string that two of them are
// parts of; nothing else may be allocated.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget at random")
	}
	for _, path := range []string{"/v1/token", "/v1/agents/some/longer/path/that/matches/no/route"} {
		h := guarded(t, generous())
		r := httptest.NewRequest("POST", path, nil)
		w := &sink{make(http.Header, 8)}
		allocs := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) })
		require.LessOrEqual(t, allocs, 2.0, path)
	}
}
