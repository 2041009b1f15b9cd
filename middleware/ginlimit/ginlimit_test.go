package ginlimit_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/ginlimit"
	"github.com/weir-go/weir/middleware/middlewaretest"
	"github.com/weir-go/weir/middleware/middlewaretest/nodes"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// engine is a service as gin's users write one.
func engine(_ *testing.T, m *middleware.Middleware, endpoints []middlewaretest.Endpoint) http.Handler {
	e := gin.New()
	e.RedirectTrailingSlash = false // it answers before any handler, so without headers
	e.Use(gin.RecoveryWithWriter(io.Discard), ginlimit.New(m))
	for _, p := range endpoints {
		e.Handle(p.Method, p.Colons(), func(c *gin.Context) {
			switch status := p.Answer(c.Param("code")); {
			case status == http.StatusOK:
				c.JSON(status, gin.H{})
			case status >= 400:
				_ = c.AbortWithError(status, http.ErrNotSupported)
			default:
				c.Status(status)
			}
		})
	}
	return e
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

// What gin chose counts where the path alone would not tell.
func TestChosenRoute(t *testing.T) {
	p := middleware.Policy{Routes: []middleware.Route{
		middleware.On("GET /files/{path...}", middleware.Rule{Name: "files", Limit: limiter.Per(7, time.Hour)}),
	}}
	e := gin.New()
	e.Use(ginlimit.New(guard(t, p, nil)))
	e.GET("/files/*path", func(c *gin.Context) {})
	assert.Equal(t, "7", send(e, "/files/a/b").Header().Get("X-RateLimit-Limit"))
	assert.Equal(t, "5", send(e, "/other").Header().Get("X-RateLimit-Limit"))
}

// Handlers that rewrite the headers do not rewrite the limits, whenever the response begins.
func TestKeepHeaders(t *testing.T) {
	m := guard(t, middleware.Policy{KeepHeaders: true}, nil)
	for name, answer := range map[string]func(c *gin.Context){
		"body":   func(c *gin.Context) { c.String(http.StatusOK, "x") },
		"status": func(c *gin.Context) { c.Status(http.StatusNoContent) },
		"now":    func(c *gin.Context) { c.Status(http.StatusNoContent); c.Writer.WriteHeaderNow() },
		"flush":  func(c *gin.Context) { c.Writer.Flush() },
		"string": func(c *gin.Context) { _, _ = c.Writer.WriteString("x") },
	} {
		e := gin.New()
		e.Use(ginlimit.New(m))
		e.GET("/", func(c *gin.Context) {
			clear(c.Writer.Header())
			answer(c)
		})
		assert.Equal(t, "5", send(e, "/").Header().Get("X-RateLimit-Limit"), name)
	}
}

// A connection that was taken over counts as 101.
func TestHijack(t *testing.T) {
	seen := make(chan int, 1)
	m := guard(t, middleware.Policy{}, func(r *middleware.Rule) {
		r.Count = func(status int) bool { seen <- status; return true }
	})
	e := gin.New()
	e.Use(ginlimit.New(m))
	e.GET("/", func(c *gin.Context) {
		conn, _, err := c.Writer.Hijack()
		if assert.NoError(t, err) {
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
			_ = conn.Close()
		}
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
	e := gin.New()
	e.Use(ginlimit.New(m))
	e.GET("/", func(c *gin.Context) {
		assert.Len(t, middleware.FromContext(c.Request.Context()), 1)
		if x, ok := m.Allow(c.Writer, c.Request, "user", c.Query("user")); ok {
			defer func() { x.Done(c.Writer.Status()) }()
			c.Status(http.StatusNoContent)
		}
	})
	assert.Equal(t, http.StatusNoContent, send(e, "/?user=ann").Code)
	assert.Equal(t, http.StatusTooManyRequests, send(e, "/?user=ann").Code)
	assert.Equal(t, http.StatusNoContent, send(e, "/?user=bob").Code)
}
