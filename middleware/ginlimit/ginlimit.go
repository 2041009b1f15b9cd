// Package ginlimit guards the handlers of a gin engine by a weir policy.
//
// For each request it asks the policy's rules for the route that gin has chosen, in gin's own
// syntax or that of [http.ServeMux], and sets the limit headers. A refused request is
// answered and aborted. Else the other handlers run, and the status that they leave is told
// to the rules that count by outcome: so what turns errors into answers must be used
// after this handler, nearer to the routes, and gin.Recovery before it.
package ginlimit

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/weir-go/weir/middleware"
)

// New returns the handler for [gin.Engine.Use], or for a group or route. The engine's own
// redirects run no handlers, so they are not limited and carry no headers.
func New(m *middleware.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		e, ok := m.BeginRoute(c.Writer, c.Request, c.FullPath())
		if !ok {
			c.Abort()
			return
		}
		c.Request = e.Request()
		if e.Observed() {
			observe(c, e)
		}
	}
}

// observe runs the handlers and tells the policy how they ended.
func observe(c *gin.Context, e middleware.Exchange) {
	w := &writer{ResponseWriter: c.Writer, exchange: e}
	c.Writer = w
	panicked := true
	defer func() { e.Done(w.outcome(panicked)) }()
	c.Next()
	panicked = false
	w.restore() // of an answer without a body, which gin only begins when all have run
}

// writer is gin's, and sees when the response begins.
type writer struct {
	gin.ResponseWriter
	exchange middleware.Exchange
	hijacked bool
}

// restore sets the limit headers again, if the policy keeps them and it is not too late.
func (w *writer) restore() {
	if !w.Written() {
		w.exchange.Restore(w.Header())
	}
}

// outcome is the status that counts when the handlers have run.
func (w *writer) outcome(panicked bool) int {
	switch {
	case w.hijacked:
		return http.StatusSwitchingProtocols
	case panicked && !w.Written():
		return http.StatusInternalServerError
	}
	return w.Status()
}
