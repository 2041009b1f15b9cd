package routers

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

var (
	requests = flag.Int("weir.requests", 100_000, "how many requests to send")
	seed     = flag.Uint64("weir.seed", 1, "which; 0 is by the time")
)

// spent is a limiter that admits all and notes whose budgets a request spends.
type spent struct{ rules []string }

func (s *spent) Take(_ context.Context, key string, _ limiter.Limit, _ int64) (limiter.Decision, error) {
	n, skip := binary.Uvarint([]byte(key))
	s.rules = append(s.rules, strings.Clone(key[skip:skip+int(n)]))
	return limiter.Decision{Allowed: true, Remaining: 1, ResetAfter: time.Minute}, nil
}

func (s *spent) Give(context.Context, string, limiter.Limit, int64) error { return nil }

// pool are the patterns of which each service has some.
var pool = []string{
	"POST /login", "/v1/token", "POST /v1/token/refresh", "GET /v1/users/{id}", "GET /v1/users/me", "/v1/users/{id}/keys/{key}",
	"/files/{path...}", "/v2/{kind}/list", "/v2/", "GET /health", "/static/{path...}", "/a.b/c-d", "/deep/one/two/three", "/{$}", "GET /sp%20ace/x", "/caf\u00e9",
	"/other/{x}", "DELETE /v1/users/{id}",
}

// service is a random policy and a router with the same patterns.
type service struct {
	router  router
	limiter *spent
	handler http.Handler
	exempt  []string
	routes  []string
}

func newService(t *testing.T, rng *rand.Rand, rt router) *service {
	s := &service{router: rt, limiter: &spent{}}
	p := middleware.Policy{Route: rt.route}
	if rng.IntN(3) > 0 {
		p.Default = []middleware.Rule{{Name: "default", Limit: limiter.Per(1, time.Minute)}}
	}
	for _, i := range rng.Perm(len(pool))[:4+rng.IntN(len(pool)-4)] {
		pattern := pool[i]
		if strings.HasPrefix(rt.name, "echo") && strings.HasSuffix(pattern, "}") && !strings.HasSuffix(pattern, "...}") {
			continue // echo's last parameter takes the rest of the path, which only the adapter can know
		}
		s.routes = append(s.routes, pattern)
		inPolicy := pattern
		if rt.hosts && rng.IntN(4) == 0 { // the mux has a host there, and so has the policy
			method, path := split(pattern)
			inPolicy = strings.TrimSpace(method + " api.example.com" + path)
			s.routes[len(s.routes)-1] = inPolicy
		}
		if rng.IntN(4) == 0 {
			s.exempt = append(s.exempt, inPolicy)
			p.Routes = append(p.Routes, middleware.Exempt(inPolicy))
			continue
		}
		p.Routes = append(p.Routes, middleware.On(inPolicy, middleware.Rule{Name: ruleOf(inPolicy), Limit: limiter.Per(1, time.Minute)}))
	}
	if len(s.routes) == 0 {
		return newService(t, rng, rt)
	}
	if len(s.exempt) == len(s.routes) && p.Default == nil {
		p.Default = []middleware.Rule{{Name: "default", Limit: limiter.Per(1, time.Minute)}}
	}
	m, err := middleware.New(s.limiter, p)
	if err != nil {
		t.Fatalf("%v: %v", s.routes, err)
	}
	s.handler = rt.build(m, s.routes)
	return s
}

// ruleOf is a rule's name for a pattern, in which only printable ASCII may stand.
func ruleOf(pattern string) string {
	return fmt.Sprintf("%q", strings.ReplaceAll(pattern, "\u00e9", "e"))
}

// spelling is a random way to write a random path that is near some pattern.
func spelling(rng *rand.Rand, pattern string) (method, target, host string) {
	method, path := split(pattern)
	if i := strings.Index(path, "/"); i > 0 {
		host, path = path[:i], path[i:]
	}
	if method == "" || rng.IntN(10) == 0 {
		method = []string{"GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS"}[rng.IntN(6)]
	}
	words := []string{"7", "me", "list", "users", "token", "v1", "x", "a%2Fb", "..", ".", "%2e%2e", "", "keys", "\u00e9", "a b", "%"}
	var b strings.Builder
	for _, part := range strings.Split(path[1:], "/") {
		switch {
		case part == "{$}":
			part = ""
		case strings.HasSuffix(part, "...}"):
			for part = words[rng.IntN(len(words))]; rng.IntN(2) == 0; {
				part += "/" + words[rng.IntN(len(words))]
			}
		case strings.HasPrefix(part, "{"):
			part = words[rng.IntN(len(words))]
		}
		b.WriteString(separator(rng) + escape(rng, part))
	}
	if target = b.String(); rng.IntN(5) == 0 {
		target += []string{"/", "//", "/.", "/..", "/x/..", "%2F", "%2f/", "/%2e", "?x=1", ";x"}[rng.IntN(10)]
	}
	return method, target, hostSpelling(rng, host)
}

// separator is what stands between two parts of a path: nearly always a slash.
func separator(rng *rand.Rand) string {
	if rng.IntN(8) > 0 {
		return "/"
	}
	return []string{"//", "/./", "/x/../", "%2F", "%2f", "/%2e/", "/.//", "/x/%2E%2E/", "///", "/%2F", "/../"}[rng.IntN(11)]
}

// escape writes some bytes of a part in hexadecimal, or in another case.
func escape(rng *rand.Rand, part string) string {
	mode := rng.IntN(6)
	var b strings.Builder
	for _, c := range []byte(part) {
		switch {
		case c <= ' ' || c >= 0x7f || mode == 0 && rng.IntN(3) == 0:
			if rng.IntN(2) == 0 {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				fmt.Fprintf(&b, "%%%02x", c)
			}
		case mode == 1 && rng.IntN(5) == 0:
			b.WriteString(strings.ToUpper(string(c)))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hostSpelling(rng *rand.Rand, host string) string {
	if host == "" {
		return []string{"", "localhost:8080", "other.org", "api.example.com"}[rng.IntN(4)]
	}
	return []string{host, host + ":80", strings.ToUpper(host), host + ".", "Api.Example.com:8443", host + ".:1", "x." + host}[rng.IntN(7)]
}

// Whenever the router ran the handler of a limited route, that route's budget was spent;
// whenever no budget was spent, an exempt handler ran, one that no rule is for, or none.
func TestNoSpellingEscapes(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultWriter, gin.DefaultErrorWriter = io.Discard, io.Discard
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	const each = 500 // requests to a service
	hits, handled, escapes := map[string]int{}, 0, 0
	rng := rand.New(rand.NewPCG(*seed, 0))
	all := routers()
	for sent := 0; sent < *requests; {
		s := newService(t, rng, all[(sent/each)%len(all)])
		for i := 0; i < each && sent < *requests; i++ {
			method, target, host := spelling(rng, s.routes[rng.IntN(len(s.routes))])
			u, err := url.ParseRequestURI(target)
			if err != nil {
				continue // the server answers 400
			}
			sent++
			got := &ran{}
			r := httptest.NewRequestWithContext(context.WithValue(context.Background(), ranKey{}, got), method, "/", nil)
			r.URL, r.RequestURI, r.Host = u, target, host
			s.limiter.rules = s.limiter.rules[:0]
			s.handler.ServeHTTP(httptest.NewRecorder(), r)
			if got.pattern == "" {
				continue
			}
			handled++
			hits[s.router.name]++
			exempt := slices.Contains(s.exempt, got.pattern)
			if !exempt && !slices.Contains(s.limiter.rules, ruleOf(got.pattern)) {
				escapes++
				t.Errorf("%s: %s %q %s: the handler of %q ran, and %q was spent; the routes are %q, exempt %q",
					s.router.name, method, host, target, got.pattern, s.limiter.rules, s.routes, s.exempt)
			}
			if escapes > 20 {
				t.FailNow()
			}
		}
	}
	t.Logf("seed %d: %d requests, %d handled, %d escapes; handled by router: %v", *seed, *requests, handled, escapes, hits)
	if handled < *requests/4 {
		t.Errorf("only %d of %d requests reached a handler: that tells little", handled, *requests)
	}
}
