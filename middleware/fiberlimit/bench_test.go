package fiberlimit_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/fiberlimit"
)

// sink is the cheapest ResponseWriter.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// What the adapter costs above the bare app, beside what Wrap costs above a bare handler.
func BenchmarkAdapter(b *testing.B) {
	free := func(count func(int) bool) *middleware.Middleware {
		return guard(b, middleware.Policy{}, func(r *middleware.Rule) { r.Limit.Quota, r.Count = limiter.MaxQuota, count })
	}
	for name, count := range map[string]func(int) bool{"wrap": nil, "wrap by outcome": middleware.CountFailures} {
		b.Run(name, func(b *testing.B) {
			h := free(count).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			r, w := httptest.NewRequest("GET", "/v1/agents/7", nil), &sink{}
			b.ReportAllocs()
			for b.Loop() {
				w.header = make(http.Header) // as net/http does
				h.ServeHTTP(w, r)
			}
		})
	}
	for name, use := range map[string]fiber.Handler{
		"fiber, a handler that sets three headers": func(c fiber.Ctx) error {
			for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
				c.Response().Header.SetCanonical([]byte(name), []byte("1"))
			}
			return c.Next()
		},
		"bare fiber":       func(c fiber.Ctx) error { return c.Next() },
		"fiber":            fiberlimit.New(free(nil)),
		"fiber by outcome": fiberlimit.New(free(middleware.CountFailures)),
	} {
		b.Run(name, func(b *testing.B) {
			app := fiber.New()
			app.Use(use)
			app.Get("/v1/agents/:id", func(fiber.Ctx) error { return nil })
			handler, ctx := app.Handler(), &fasthttp.RequestCtx{}
			var req fasthttp.Request
			req.SetRequestURI("http://example.com/v1/agents/7")
			ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 40000}, nil)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Response.Reset()
				handler(ctx)
			}
		})
	}
}
