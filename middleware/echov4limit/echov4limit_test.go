package echov4limit_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/echov4limit"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

// newEcho is an echo without a log.
func newEcho(use ...echo.MiddlewareFunc) *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(use...)
	return e
}

// engine is a service as echo's users write one: failures are returned.
func engine(_ *testing.T, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
	e := newEcho(echov4limit.New(m))
	for _, p := range endpoints {
		e.Add(p.Method, p.Colons(), func(c echo.Context) error {
			switch status := p.Answer(c.Param("code")); {
			case status == http.StatusOK:
				return c.JSONBlob(status, []byte("{}"))
			case status >= 400:
				return echo.NewHTTPError(status, "no")
			default:
				return c.NoContent(status)
			}
		})
	}
	return middlewaretest.Recovering(e)
}

func TestContract(t *testing.T) {
	service := middlewaretest.Server(engine).Service
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

func send(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// errWrong is an error of the service's own, of which only its error handler knows the status.
var errWrong = errors.New("wrong password")

// The status that counts is the one that the error handler makes of an error, and one that does not
// look whether it has answered already answers once.
func TestErrorHandler(t *testing.T) {
	m := guard(t, middleware.Policy{}, func(r *middleware.Rule) { r.Limit.Quota, r.Count = 3, middleware.CountStatuses(401) })
	e := newEcho(echov4limit.New(m))
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := http.StatusTeapot
		if errors.Is(err, errWrong) {
			status = http.StatusUnauthorized
		}
		_ = c.String(status, "once")
	}
	e.GET("/login", func(c echo.Context) error {
		if c.QueryParam("password") == "right" {
			return errors.New("another")
		}
		return errWrong
	})
	for range 5 {
		require.Equal(t, http.StatusTeapot, send(e, "/login?password=right").Code)
	}
	seen := map[int]int{}
	for range 15 {
		w := send(e, "/login")
		if seen[w.Code]++; w.Code == http.StatusUnauthorized {
			assert.Equal(t, "once", w.Body.String())
		}
	}
	assert.Equal(t, map[int]int{401: 3, 429: 12}, seen)
}

// What no middleware counts is returned as it is.
func TestErrorsPass(t *testing.T) {
	var got error
	outer := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			got = next(c)
			return got
		}
	}
	e := newEcho(outer, echov4limit.New(guard(t, middleware.Policy{}, nil)))
	e.GET("/", func(echo.Context) error { return errWrong })
	assert.Equal(t, http.StatusInternalServerError, send(e, "/").Code)
	assert.ErrorIs(t, got, errWrong)
}

// echo's last parameter takes the rest of the path, which only echo knows.
func TestChosenRoute(t *testing.T) {
	p := middleware.Policy{Routes: []middleware.Route{
		middleware.On("GET /users/{id}", middleware.Rule{Name: "user", Limit: limiter.Per(7, time.Hour)}),
	}}
	e := newEcho(echov4limit.New(guard(t, p, nil)))
	e.GET("/users/:id", func(c echo.Context) error { return nil })
	assert.Equal(t, "7", send(e, "/users/a").Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "7", send(e, "/users/a%2Fb").Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "5", send(e, "/other").Header().Get("X-RateLimit-Limit"))
}

// Handlers that rewrite the headers do not rewrite the limits, whenever the response begins.
func TestKeepHeaders(t *testing.T) {
	m := guard(t, middleware.Policy{KeepHeaders: true}, nil)
	for name, answer := range map[string]func(c echo.Context) error{
		"body":   func(c echo.Context) error { return c.String(http.StatusOK, "x") },
		"status": func(c echo.Context) error { return c.NoContent(http.StatusNoContent) },
		"error":  func(c echo.Context) error { return echo.ErrNotFound },
		"flush":  func(c echo.Context) error { return http.NewResponseController(c.Response()).Flush() },
	} {
		e := newEcho(echov4limit.New(m))
		e.GET("/", func(c echo.Context) error {
			clear(c.Response().Header())
			return answer(c)
		})
		assert.Equal(t, "5", send(e, "/").Result().Header.Get("X-RateLimit-Limit"), name)
	}
}

// A connection that was taken over counts as 101.
func TestHijack(t *testing.T) {
	seen := make(chan int, 1)
	m := guard(t, middleware.Policy{}, func(r *middleware.Rule) {
		r.Count = func(status int) bool { seen <- status; return true }
	})
	e := newEcho(echov4limit.New(m))
	e.GET("/", func(c echo.Context) error {
		conn, _, err := c.Response().Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
			_ = conn.Close()
		}
		return err
	})
	server := httptest.NewServer(e)
	defer server.Close()
	resp, err := http.Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusSwitchingProtocols, <-seen)
}

// Handlers see the decisions, and can ask a rule themselves.
func TestInside(t *testing.T) {
	user := middleware.Rule{Name: "user", Limit: limiter.Per(1, time.Hour)}
	m := guard(t, middleware.Policy{InContext: true, Asked: []middleware.Rule{user}}, nil)
	e := newEcho(echov4limit.New(m))
	e.GET("/", func(c echo.Context) error {
		assert.Len(t, middleware.FromContext(c.Request().Context()), 1)
		if _, ok := m.Allow(c.Response(), c.Request(), "user", c.QueryParam("user")); !ok {
			return nil
		}
		return c.NoContent(http.StatusNoContent)
	})
	assert.Equal(t, http.StatusNoContent, send(e, "/?user=ann").Code)
	assert.Equal(t, http.StatusTooManyRequests, send(e, "/?user=ann").Code)
	assert.Equal(t, http.StatusNoContent, send(e, "/?user=bob").Code)
}
