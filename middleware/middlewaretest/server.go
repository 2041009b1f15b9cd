package middlewaretest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/weir-go/weir/middleware"
)

// Endpoint is one of the handlers that a [Server] has.
type Endpoint struct {
	// Method and Path are what it is registered for, as [http.ServeMux] writes paths. Its only
	// wildcards are {id} and {code}, each the last segment.
	Method, Path string
	// Answer is the status to answer with, given what stands for {code}, else "". Where the
	// framework's handlers report failures in a way of their own, such as an error that they
	// return, those of 400 and above should be reported so. Answer panics where the
	// handler should, which the server must turn into a 500.
	Answer func(code string) (status int)
}

// Colons is Path as most frameworks write it: "/v1/agents/:id".
func (e Endpoint) Colons() string {
	return strings.NewReplacer("{", ":", "}", "").Replace(e.Path)
}

// Server builds a service with these endpoints and no others, guarded by m in the way that is
// under test, and with what recovers from panics outside of it. An answer of 200 has the
// body "{}", any other none.
type Server func(t *testing.T, m *middleware.Middleware, endpoints []Endpoint) http.Handler

// endpoints answer in each of the ways that the contract speaks of.
func endpoints() (all []Endpoint) {
	for _, p := range []string{
		"POST /v1/authorize", "POST /v1/token", "POST /v1/token/refresh", "GET /v1/agents",
		"GET /v1/agents/{id}", "GET /v1/agents/me", "GET /health", "GET /.well-known/jwks.json", "POST /v1/tokens/verify",
	} {
		method, path, _ := strings.Cut(p, " ")
		all = append(all, Endpoint{method, path, func(string) int { return http.StatusOK }})
	}
	return append(all,
		Endpoint{"GET", "/status/{code}", func(code string) int {
			status, _ := strconv.Atoi(code)
			return status
		}},
		Endpoint{"GET", "/panic", func(string) int { panic("handler") }})
}

// Wrapped is the Server of the standard library: Wrap around an [http.ServeMux].
func Wrapped(_ *testing.T, m *middleware.Middleware, endpoints []Endpoint) http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		mux.HandleFunc(e.Method+" "+e.Path, func(w http.ResponseWriter, r *http.Request) {
			if status := e.Answer(r.PathValue("code")); status != http.StatusOK {
				w.WriteHeader(status)
				return
			}
			_, _ = io.WriteString(w, "{}")
		})
	}
	return Recovering(m.Wrap(mux))
}

// Recovering is the outer handler that most services have.
func Recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
