package routers

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

// chiService needs no adapter: a Middleware's Wrap is what chi uses.
func chiService(_ *testing.T, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
	r := chi.NewRouter()
	r.Use(middlewaretest.Recovering, m.Wrap)
	for _, e := range endpoints {
		r.Method(e.Method, e.Path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if status := e.Answer(chi.URLParam(r, "code")); status != http.StatusOK {
				w.WriteHeader(status)
				return
			}
			_, _ = w.Write([]byte("{}"))
		}))
	}
	return r
}

func TestChi(t *testing.T) {
	service := middlewaretest.Server(chiService).Service
	local := middlewaretest.ServerContract(t, "local", chiService, nodes.Local)
	local = append(local, middlewaretest.FiveRules(t, "five rules, local", service, nodes.Local)...)
	if testing.Short() {
		t.Skip("three nodes start")
	}
	limiters := nodes.Three(t)
	three := middlewaretest.ServerContract(t, "three nodes", chiService, limiters)
	three = append(three, middlewaretest.FiveRules(t, "five rules, three nodes", service, limiters)...)
	middlewaretest.Report(t, "testdata/chi.tsv", middlewaretest.Run{Over: "local", Rows: local}, middlewaretest.Run{Over: "three nodes", Rows: three})
}
