package fiberlimit

import (
	"context"
	"iter"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/utils/v2"

	"github.com/weir-go/weir/middleware"
)

// callOf is a request as the policy sees it. Its strings are copies: fasthttp uses the memory again,
// and a function of the policy may keep what it gets.
func callOf(c fiber.Ctx) middleware.Call {
	h := &c.Request().Header
	return middleware.Call{
		Method: c.Method(), Path: pathOf(c), Addr: c.RequestCtx().RemoteAddr(),
		IgnoreCase: !c.App().Config().CaseSensitive,
		Get: func(_ context.Context, name string) []string {
			if name == "Host" {
				return []string{string(h.Host())}
			}
			return texts(h.PeekAll(name))
		},
		All: func(context.Context) iter.Seq2[string, []string] {
			return func(yield func(string, []string) bool) {
				for name, value := range h.All() {
					if !yield(string(name), []string{string(value)}) {
						return
					}
				}
			}
		},
	}
}

// pathOf is the path as fiber matches it, which leaves out all slashes at the end. One stays: with
// it and without it a path is looked for anyway.
func pathOf(c fiber.Ctx) string {
	path := c.Path()
	if strings.HasSuffix(path, "//") {
		return strings.TrimRight(path, "/") + "/"
	}
	return strings.Clone(path)
}

// texts copies values.
func texts(values [][]byte) []string {
	if len(values) == 0 {
		return nil
	}
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// usual are the limit headers of nearly every response, as fasthttp wants them.
var usual = [...]struct {
	name string
	key  []byte
}{
	{"X-Ratelimit-Limit", []byte("X-Ratelimit-Limit")},
	{"X-Ratelimit-Remaining", []byte("X-Ratelimit-Remaining")},
	{"X-Ratelimit-Reset", []byte("X-Ratelimit-Reset")},
}

// limits sets the limit headers of an outcome.
func limits(c fiber.Ctx, o middleware.Outcome) {
	three := o.XRateLimit()
	if three == nil {
		put(c, o.Header())
		return
	}
	h := &c.Response().Header
	for i := range three {
		h.SetCanonical(usual[i].key, utils.UnsafeBytes(three[i])) // it copies
	}
}

// put sets headers of the response.
func put(c fiber.Ctx, limits http.Header) {
	h, rest := &c.Response().Header, len(limits)
	for i := range usual {
		if v := limits[usual[i].name]; len(v) == 1 {
			h.SetCanonical(usual[i].key, utils.UnsafeBytes(v[0])) // it copies
			rest--
		}
	}
	if rest == 0 {
		return
	}
	for name, values := range limits {
		switch {
		case strings.HasPrefix(name, "X-Ratelimit-") && name != "X-Ratelimit-Degraded":
		case name == "Access-Control-Expose-Headers":
			c.Append(name, values...)
		default:
			h.Del(name)
			for _, v := range values {
				h.Add(name, v)
			}
		}
	}
}

// writer is the response for who writes a refusal as to net/http.
type writer struct {
	c       fiber.Ctx
	header  http.Header
	started bool
}

func (w *writer) Header() http.Header { return w.header }

// WriteHeader begins the response.
func (w *writer) WriteHeader(status int) {
	if w.started || status < 200 {
		return
	}
	w.started = true
	w.c.Status(status)
	put(w.c, w.header)
}

// Write appends to the body.
func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.c.Write(b)
}
