package echov4limit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/echov4limit"
)

// sink is the cheapest ResponseWriter.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// What the adapter costs above the bare echo, beside what Wrap costs above a bare handler.
func BenchmarkAdapter(b *testing.B) {
	free := func(count func(int) bool) *middleware.Middleware {
		return guard(b, middleware.Policy{}, func(r *middleware.Rule) { r.Limit.Quota, r.Count = limiter.MaxQuota, count })
	}
	engine := func(use ...echo.MiddlewareFunc) http.Handler {
		e := newEcho(use...)
		e.GET("/v1/agents/:id", func(echo.Context) error { return nil })
		return e
	}
	bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"bare handler", bare},
		{"wrap", free(nil).Wrap(bare)},
		{"wrap by outcome", free(middleware.CountFailures).Wrap(bare)},
		{"bare echo", engine()},
		{"echo", engine(echov4limit.New(free(nil)))},
		{"echo by outcome", engine(echov4limit.New(free(middleware.CountFailures)))},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/v1/agents/7", nil)
			w := &sink{make(http.Header, 8)}
			b.ReportAllocs()
			for b.Loop() {
				c.handler.ServeHTTP(w, r)
			}
		})
	}
}
