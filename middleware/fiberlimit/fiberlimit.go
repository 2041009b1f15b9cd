// Package fiberlimit guards the handlers of a fiber (v3) app by a weir policy.
//
// For each request it asks the policy's rules for the routes that fiber may take it for, and sets the
// limit headers. A refused request is answered and goes no further. Else the next handlers
// run. An error that they return is turned into its answer by the app's ErrorHandler right here,
// where a rule counts by outcome: so it sees the status that the client gets.
//
// fiber chooses a route only when its handlers run, so paths are matched by the policy's own
// patterns. It ignores case unless the app's CaseSensitive is set: then the patterns of the
// policy must be in lower case, and a policy with others makes every request fail.
package fiberlimit

import (
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v3"

	"github.com/weir-go/weir/middleware"
)

// New returns the handler for [fiber.App.Use], or for a group or route.
func New(m *middleware.Middleware) fiber.Handler {
	return func(c fiber.Ctx) error {
		o, ok, err := ask(c, m, callOf(c))
		if !ok {
			return err
		}
		limits(c, o)
		ctx := c.Context()
		if with := o.Context(ctx); with != ctx {
			c.SetContext(with)
		}
		if o.ByOutcome() || o.Keeps() {
			return observe(c, o)
		}
		o.Done(0)
		return c.Next()
	}
}

// Allow asks one rule of the policy within a handler, for a subject that only the handler knows, such
// as the user name in a body: see [middleware.Middleware.Allow]. If ok is false, the refusal
// is written and the handler should return err. Else done must be called with the status
// of the response.
func Allow(c fiber.Ctx, m *middleware.Middleware, rule, subject string) (done func(status int), ok bool, err error) {
	call := callOf(c)
	call.Rule, call.Subject = rule, subject
	o, ok, err := ask(c, m, call)
	if !ok {
		return func(int) {}, false, err
	}
	before, wrong := strconv.ParseInt(string(c.Response().Header.Peek("X-Ratelimit-Remaining")), 10, 64)
	if now, err := strconv.ParseInt(o.Header().Get("X-RateLimit-Remaining"), 10, 64); wrong != nil || err == nil && now < before {
		put(c, o.Header()) // the tighter of both shows
	}
	return o.Done, true, nil
}

// statusClientGone is what logs see of a request whose client left before there was a decision.
const statusClientGone = 499

// ask asks the policy, and writes the refusal.
func ask(c fiber.Ctx, m *middleware.Middleware, call middleware.Call) (o middleware.Outcome, ok bool, err error) {
	ctx := c.Context()
	switch o, err = m.Decide(ctx, call); {
	case err != nil && ctx.Err() != nil:
		return o, false, c.SendStatus(statusClientGone)
	case err != nil:
		return o, false, err
	case !o.Allowed:
		o.Write(&writer{c: c, header: http.Header{}})
		o.Done(0)
		return o, false, nil
	}
	return o, true, nil
}

// observe runs the next handlers and tells the policy how they ended.
func observe(c fiber.Ctx, o middleware.Outcome) (err error) {
	panicked := true
	defer func() {
		status := c.Response().StatusCode()
		if panicked {
			status = http.StatusInternalServerError
		}
		o.Done(status)
	}()
	err = c.Next()
	if err != nil && o.ByOutcome() {
		if failed := c.App().ErrorHandler(c, err); failed != nil {
			_ = c.SendStatus(http.StatusInternalServerError) // as the app does then
		}
		err = nil
	}
	if o.Keeps() {
		put(c, o.Header())
	}
	panicked = false
	return err
}
