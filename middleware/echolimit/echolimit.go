// Package echolimit guards the handlers of an echo (v5) by a weir policy.
//
// For each request it asks the policy's rules for the route that echo has chosen, in echo's own
// syntax or that of http.ServeMux, and sets the limit headers. A refused request is
// answered and goes no further. Else the next handler runs. An error that it returns is
// turned into its answer by the echo's HTTPErrorHandler right here, where a rule counts by
// outcome: so it sees the status that the client gets.
package echolimit

import (
	"github.com/labstack/echo/v5"

	"github.com/weir-go/weir/middleware"
)

// New returns the middleware for [echo.Echo.Use], or for a group or route. It is not for
// Pre, which runs before echo has chosen.
func New(m *middleware.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			e, ok := m.BeginRoute(c.Response(), c.Request(), c.Path())
			if !ok {
				return nil
			}
			c.SetRequest(e.Request())
			if !e.Observed() {
				return next(c)
			}
			return observe(c, e, next)
		}
	}
}

// observe runs the next handler and tells the policy how it ended.
func observe(c *echo.Context, e middleware.Exchange, next echo.HandlerFunc) error {
	outer := c.Response()
	seen, done := e.Observe(outer)
	c.SetResponse(seen)
	panicked := true
	defer func() {
		c.SetResponse(outer)
		done(panicked)
	}()
	err := next(c)
	if err != nil && !committed(c) {
		if c.Echo().HTTPErrorHandler(c, err); committed(c) {
			err = nil // or a handler that does not look would answer again
		}
	}
	panicked = err != nil // nobody has answered: somebody outside will, as of a panic
	return err
}

// committed reports whether the response has begun.
func committed(c *echo.Context) bool {
	r, err := echo.UnwrapResponse(c.Response())
	return err == nil && r.Committed
}
