// Package echov4limit guards the handlers of an echo (v4) by a weir policy. For v5 there is
// package echolimit.
//
// For each request it asks the policy's rules for the route that echo has chosen, in echo's own
// syntax or that of http.ServeMux, and sets the limit headers. A refused request is
// answered and goes no further. Else the next handler runs. An error that it returns is
// turned into its answer by the echo's HTTPErrorHandler right here, where a rule counts by
// outcome: so it sees the status that the client gets.
package echov4limit

import (
	"github.com/labstack/echo/v4"

	"github.com/weir-go/weir/middleware"
)

// New returns the middleware for [echo.Echo.Use], or for a group or route. It is not for
// Pre, which runs before echo has chosen.
func New(m *middleware.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
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

// observe runs the next handler and tells the policy how it ended. What is watched is the writer
// inside of echo's response, which stays the same one: handlers know it by its type.
func observe(c echo.Context, e middleware.Exchange, next echo.HandlerFunc) error {
	response := c.Response()
	outer := response.Writer
	seen, done := e.Observe(outer)
	response.Writer = seen
	panicked := true
	defer func() {
		response.Writer = outer
		done(panicked)
	}()
	err := next(c)
	if err != nil && !response.Committed {
		if c.Error(err); response.Committed {
			err = nil // or a handler that does not look would answer again
		}
	}
	panicked = err != nil // nobody has answered: somebody outside will, as of a panic
	return err
}
