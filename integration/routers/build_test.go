package routers

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"

	"github.com/weir-go/weir/middleware"
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

// chosenKey holds what a router says that it chose.
type chosenKey struct{}

// chosen is the Policy.Route of the adapters below.
func chosen(r *http.Request) string {
	pattern, _ := r.Context().Value(chosenKey{}).(string)
	return pattern
}

// insideGin is the adapter of docs/routers-and-proxies.md.
func insideGin(m *middleware.Middleware, patterns []string) http.Handler {
	return ginEngine(func(*gin.Engine) {}, func(c *gin.Context) {
		passed := false
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed, c.Request = true, r
			c.Next()
		})
		r := c.Request.WithContext(context.WithValue(c.Request.Context(), chosenKey{}, c.FullPath()))
		if m.Wrap(next).ServeHTTP(c.Writer, r); !passed {
			c.Abort()
		}
	}, patterns)
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

// insideEcho is the adapter of docs/routers-and-proxies.md.
func insideEcho(m *middleware.Middleware, patterns []string) http.Handler {
	e := echo.New()
	e.Pre(echomw.RemoveTrailingSlash())
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				c.SetResponse(echo.NewResponse(w, c.Echo()))
				if err := next(c); err != nil {
					c.Error(err)
				}
			}))
			r := c.Request().WithContext(context.WithValue(c.Request().Context(), chosenKey{}, c.Path()))
			h.ServeHTTP(c.Response(), r)
			return nil
		}
	})
	echoRoutes(e, patterns)
	return e
}

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
		{"inside gin", false, insideGin, chosen},
		{"echo", false, echoRouter(), nil},
		{"echo RemoveTrailingSlash", false, echoRouter(echomw.RemoveTrailingSlash()), nil},
		{"inside echo", false, insideEcho, chosen},
	}
}
