package routers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/echolimit"
	"github.com/weir-go/weir/middleware/echov4limit"
	"github.com/weir-go/weir/middleware/fiberlimit"
	"github.com/weir-go/weir/middleware/ginlimit"
)

// ran notes which route's handler ran.
type ran struct{ pattern string }

type ranKey struct{}

// handler notes in the request's context that it ran.
func handler(pattern string) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) { r.Context().Value(ranKey{}).(*ran).pattern = pattern }
}

// router is a way to serve some patterns of http.ServeMux's syntax behind the middleware.
type router struct {
	name  string
	hosts bool // it knows hosts itself
	build func(m *middleware.Middleware, patterns []string) http.Handler
	route func(*http.Request) string // for the policy
}

// split is a pattern's method and path.
func split(pattern string) (method, path string) {
	if m, p, ok := strings.Cut(pattern, " "); ok {
		return m, p
	}
	return "", pattern
}

// decoded is a path as routers other than ServeMux want it: they compare it with what the
// request's path means, not with how a pattern spells it.
func decoded(path string) string { return strings.ReplaceAll(path, "%20", " ") }

// colons is a path in the syntax of gin and echo.
func colons(path string, rest string) string {
	parts := strings.Split(decoded(path), "/")
	for i, p := range parts {
		switch {
		case p == "{$}":
			parts[i] = ""
		case strings.HasSuffix(p, "...}"):
			parts[i] = rest
		case strings.HasPrefix(p, "{"):
			parts[i] = ":" + strings.Trim(p, "{}")
		}
	}
	return strings.Join(parts, "/")
}

func serveMux(m *middleware.Middleware, patterns []string) http.Handler {
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, handler(p))
	}
	return m.Wrap(mux)
}

// insideMux has the middleware around each handler of a mux, where the choice is known.
func insideMux(m *middleware.Middleware, patterns []string) http.Handler {
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, m.Wrap(handler(p)))
	}
	return mux
}

// chiRouter has middlewares of its own inside of ours, as a service that we guard has.
func chiRouter(use ...func(http.Handler) http.Handler) func(*middleware.Middleware, []string) http.Handler {
	return func(m *middleware.Middleware, patterns []string) http.Handler {
		r := chi.NewRouter()
		r.Use(use...)
		for _, p := range patterns {
			method, path := split(p)
			if path = strings.TrimSuffix(colonless(path), "{$}"); method == "" {
				r.Handle(path, handler(p))
			} else {
				r.Method(method, path, handler(p))
			}
		}
		return m.Wrap(r)
	}
}

// colonless is a path in chi's syntax.
func colonless(path string) string {
	path = decoded(path)
	if i := strings.LastIndex(path, "/"); strings.HasSuffix(path, "...}") {
		return path[:i+1] + "*"
	}
	return path
}

// ginRouter is gin with some setting of how it reads paths.
func ginRouter(set func(*gin.Engine)) func(*middleware.Middleware, []string) http.Handler {
	return func(m *middleware.Middleware, patterns []string) http.Handler {
		return m.Wrap(ginEngine(set, nil, patterns))
	}
}

func ginEngine(set func(*gin.Engine), use gin.HandlerFunc, patterns []string) *gin.Engine {
	e := gin.New()
	if set(e); use != nil {
		e.Use(use)
	}
	for _, p := range patterns {
		h := handler(p)
		do := func(c *gin.Context) { h(c.Writer, c.Request) }
		if method, path := split(p); method == "" {
			e.Any(colons(path, "*rest"), do)
		} else {
			e.Handle(method, colons(path, "*rest"), do)
		}
	}
	return e
}

// insideGin has the adapter as a middleware of gin.
func insideGin(m *middleware.Middleware, patterns []string) http.Handler {
	return ginEngine(func(*gin.Engine) {}, ginlimit.New(m), patterns)
}

// echoRouter is echo behind the middleware.
func echoRouter(pre ...echo.MiddlewareFunc) func(*middleware.Middleware, []string) http.Handler {
	return func(m *middleware.Middleware, patterns []string) http.Handler {
		e := echo.New()
		e.Pre(pre...)
		echoRoutes(e, patterns)
		return m.Wrap(e)
	}
}

func echoRoutes(e *echo.Echo, patterns []string) {
	for _, p := range patterns {
		do := echo.WrapHandler(handler(p))
		if method, path := split(p); method == "" {
			e.Any(colons(path, "*"), do)
		} else {
			e.Add(method, colons(path, "*"), do)
		}
	}
}

// insideEcho has the adapter as a middleware of echo.
func insideEcho(m *middleware.Middleware, patterns []string) http.Handler {
	e := echo5.New()
	e.Pre(echo5mw.RemoveTrailingSlash())
	e.Use(echolimit.New(m))
	for _, p := range patterns {
		do := echo5.WrapHandler(handler(p))
		if method, path := split(p); method == "" {
			e.Any(colons(path, "*"), do)
		} else {
			e.Add(method, colons(path, "*"), do)
		}
	}
	return e
}

// insideEcho4 is the same in echo v4.
func insideEcho4(m *middleware.Middleware, patterns []string) http.Handler {
	e := echo.New()
	e.Pre(echomw.RemoveTrailingSlash())
	e.Use(echov4limit.New(m))
	echoRoutes(e, patterns)
	return e
}

// insideFiber has the adapter as a handler of fiber. Of several routes that match, fiber takes the
// one that was registered first: so here the most specific are.
func insideFiber(m *middleware.Middleware, patterns []string) http.Handler {
	app := fiber.New()
	app.Use(fiberlimit.New(m))
	open := func(pattern string) int { return strings.Count(pattern, "{") + 10*strings.Count(pattern, "...}") }
	patterns = slices.SortedStableFunc(slices.Values(patterns), func(a, b string) int { return open(a) - open(b) })
	for _, p := range patterns {
		do := func(c fiber.Ctx) error {
			c.Set(ranHeader, url.PathEscape(p))
			return nil
		}
		if method, path := split(p); method == "" {
			app.All(colons(path, "*"), do)
		} else {
			app.Add([]string{method}, colons(path, "*"), do)
		}
	}
	served := adaptor.FiberApp(app)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served(w, r)
		if p, err := url.PathUnescape(w.Header().Get(ranHeader)); err == nil && p != "" {
			r.Context().Value(ranKey{}).(*ran).pattern = p
		}
	})
}

// ranHeader notes which handler ran where the request's context does not get there.
const ranHeader = "X-Ran"

// routers are all that are tried.
func routers() []router {
	return []router{
		{"ServeMux", true, serveMux, nil},
		{"inside ServeMux", true, insideMux, func(r *http.Request) string { return r.Pattern }},
		{"chi", false, chiRouter(), nil},
		{"chi StripSlashes", false, chiRouter(chimw.StripSlashes), nil},
		{"chi CleanPath", false, chiRouter(chimw.CleanPath), nil},
		{"chi CleanPath StripSlashes GetHead", false, chiRouter(chimw.CleanPath, chimw.StripSlashes, chimw.GetHead), nil},
		{"gin", false, ginRouter(func(*gin.Engine) {}), nil},
		{"gin UseRawPath", false, ginRouter(func(e *gin.Engine) { e.UseRawPath = true }), nil},
		{"gin RemoveExtraSlash", false, ginRouter(func(e *gin.Engine) { e.RemoveExtraSlash = true }), nil},
		{"gin UseRawPath RemoveExtraSlash", false, ginRouter(func(e *gin.Engine) { e.UseRawPath, e.RemoveExtraSlash = true, true }), nil},
		{"inside gin", false, insideGin, nil},
		{"echo", false, echoRouter(), nil},
		{"echo RemoveTrailingSlash", false, echoRouter(echomw.RemoveTrailingSlash()), nil},
		{"inside echo", false, insideEcho, nil},
		{"inside echo v4", false, insideEcho4, nil},
		{"inside fiber", false, insideFiber, nil},
	}
}
