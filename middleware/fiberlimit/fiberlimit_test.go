package fiberlimit_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/fiberlimit"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

// engine is a service as fiber's users write one.
func engine(_ *testing.T, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
	return serve(fiber.New(), m, endpoints)
}

// exact is one that tells upper from lower case, as the five rules' paths need it.
func exact(_ *testing.T, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
	return serve(fiber.New(fiber.Config{CaseSensitive: true}), m, endpoints)
}

// serve has the endpoints' failures returned.
func serve(app *fiber.App, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
	app.Use(recover.New(), fiberlimit.New(m))
	for _, p := range endpoints {
		app.Add([]string{p.Method}, p.Colons(), func(c fiber.Ctx) error {
			switch status := p.Answer(c.Params("code")); {
			case status == http.StatusOK:
				return c.JSON(fiber.Map{})
			case status >= 400:
				return fiber.NewError(status, "no")
			default:
				c.Status(status)
				return nil
			}
		})
	}
	return adaptor.FiberApp(app)
}

func TestContract(t *testing.T) {
	service := middlewaretest.Server(exact).Service
	local := middlewaretest.ServerContract(t, "local", engine, nodes.Local)
	local = append(local, middlewaretest.FiveRules(t, "five rules, local", service, nodes.Local)...)
	if testing.Short() {
		t.Skip("three nodes start")
	}
	limiters := nodes.Three(t)
	three := middlewaretest.ServerContract(t, "three nodes", engine, limiters)
	three = append(three, middlewaretest.FiveRules(t, "five rules, three nodes", service, limiters)...)
	middlewaretest.Report(t, "testdata/rows.tsv", middlewaretest.Run{Over: "local", Rows: local}, middlewaretest.Run{Over: "three nodes", Rows: three})
}

// guard is a middleware with one rule over a limiter of this process.
func guard(t testing.TB, p middleware.Policy, change func(*middleware.Rule)) *middleware.Middleware {
	t.Helper()
	r := middleware.Rule{Name: "default", Limit: limiter.Per(5, time.Hour)}
	if change != nil {
		change(&r)
	}
	p.Default = []middleware.Rule{r}
	m, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
	require.NoError(t, err)
	return m
}

func send(app *fiber.App, path string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
	for _, e := range edit {
		e(r)
	}
	adaptor.FiberApp(app).ServeHTTP(w, r)
	return w
}

// errWrong is an error of the service's own, of which only its error handler knows the status.
var errWrong = errors.New("wrong password")

// The status that counts is the one that the error handler makes of an error, or 500 where it fails.
func TestErrorHandler(t *testing.T) {
	m := guard(t, middleware.Policy{}, func(r *middleware.Rule) {
		r.Limit.Quota, r.Count = 3, middleware.CountStatuses(401, 500)
	})
	app := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		switch {
		case errors.Is(err, errWrong):
			return c.Status(http.StatusUnauthorized).SendString("once")
		case err.Error() == "fails":
			return err
		}
		return c.SendStatus(http.StatusTeapot)
	}})
	app.Use(fiberlimit.New(m))
	app.Get("/login", func(c fiber.Ctx) error {
		if password := c.Query("password"); password != "" {
			return errors.New(password)
		}
		return errWrong
	})
	for range 5 {
		require.Equal(t, http.StatusTeapot, send(app, "/login?password=right").Code)
	}
	require.Equal(t, http.StatusInternalServerError, send(app, "/login?password=fails").Code)
	seen := map[int]int{}
	for range 15 {
		w := send(app, "/login")
		if seen[w.Code]++; w.Code == http.StatusUnauthorized {
			assert.Equal(t, "once", w.Body.String())
		}
	}
	assert.Equal(t, map[int]int{401: 2, 429: 13}, seen)
}

// fiber ignores case, and so no spelling in another case escapes; or a policy that cannot be
// is told at the first request.
func TestCase(t *testing.T) {
	p := middleware.Policy{Routes: []middleware.Route{middleware.On("GET /v1/token", middleware.Rule{Name: "token", Limit: limiter.Per(7, time.Hour)})}}
	app := fiber.New()
	app.Use(fiberlimit.New(guard(t, p, nil)))
	app.Get("/v1/token", func(c fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	for _, path := range []string{"/v1/token", "/V1/Token", "/v1/TOKEN/", "/v1/token///"} {
		w := send(app, path)
		assert.Equal(t, http.StatusNoContent, w.Code, path)
		assert.Equal(t, "7", w.Header().Get("X-RateLimit-Limit"), path)
	}
	p.Routes[0].Patterns[0] = "GET /v1/Token"
	app = fiber.New()
	app.Use(fiberlimit.New(guard(t, p, nil)))
	w := send(app, "/v1/token")
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Contains(t, w.Body.String(), "has upper case")
	app = fiber.New(fiber.Config{CaseSensitive: true})
	app.Use(fiberlimit.New(guard(t, p, nil)))
	assert.Equal(t, "7", send(app, "/v1/Token").Header().Get("X-RateLimit-Limit"))
}

// Handlers that rewrite the headers do not rewrite the limits, whether they answer or fail.
func TestKeepHeaders(t *testing.T) {
	m := guard(t, middleware.Policy{KeepHeaders: true}, nil)
	for _, answer := range []error{nil, fiber.ErrNotFound} {
		app := fiber.New()
		app.Use(fiberlimit.New(m))
		app.Get("/", func(c fiber.Ctx) error {
			c.Response().Reset()
			c.Set("X-RateLimit-Limit", "of the upstream")
			return answer
		})
		assert.Equal(t, []string{"5"}, send(app, "/").Header().Values("X-RateLimit-Limit"))
	}
}

// Keys and functions see the request's headers, all values of them and the host.
func TestHeaders(t *testing.T) {
	var subject string
	p := middleware.Policy{RevealKeys: true, OnDecision: func(e middleware.Event) { subject = e.Subject }}
	for name, key := range map[string]middleware.Key{
		"header": middleware.Header("X-Api-Key"),
		"func":   middleware.Func(func(r *http.Request) (string, bool) { return r.Header.Get("X-Api-Key"), true }),
	} {
		app := fiber.New()
		app.Use(fiberlimit.New(guard(t, p, func(r *middleware.Rule) { r.Key = key })))
		send(app, "/", func(r *http.Request) { r.Header.Set("X-Api-Key", "k-1") })
		assert.Equal(t, "k-1", subject, name)
	}
	hosts := middleware.Policy{Routes: []middleware.Route{middleware.On("api.example.com/", middleware.Rule{Name: "api", Limit: limiter.Per(7, time.Hour)})}}
	app := fiber.New()
	app.Use(fiberlimit.New(guard(t, hosts, nil)))
	assert.Equal(t, "7", send(app, "http://api.example.com/x").Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "5", send(app, "http://example.com/x").Header().Get("X-RateLimit-Limit"))
}

// Handlers see the decisions, and can ask a rule themselves.
func TestInside(t *testing.T) {
	user := middleware.Rule{Name: "user", Limit: limiter.Per(1, time.Hour), Count: middleware.CountFailures}
	m := guard(t, middleware.Policy{InContext: true, Asked: []middleware.Rule{user}}, func(r *middleware.Rule) { r.Limit.Quota = 50 })
	app := fiber.New()
	app.Use(fiberlimit.New(m))
	app.Get("/", func(c fiber.Ctx) error {
		assert.Len(t, middleware.FromContext(c.Context()), 1)
		done, ok, err := fiberlimit.Allow(c, m, "user", c.Query("user"))
		if !ok {
			return err
		}
		status := http.StatusNoContent
		if c.Query("user") == "ann" {
			status = http.StatusUnauthorized
		}
		done(status)
		return c.SendStatus(status)
	})
	w := send(app, "/?user=ann")
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.Equal(t, "1", w.Header().Get("X-RateLimit-Limit"), "the tighter of both")
	assert.Equal(t, http.StatusTooManyRequests, send(app, "/?user=ann").Code)
	for range 3 {
		assert.Equal(t, http.StatusNoContent, send(app, "/?user=bob").Code)
	}
}
