package policyfile

import (
	"context"
	"net/http"
	"time"

	"github.com/weir-go/weir/middleware"
)

// Guard is a [middleware.Middleware] on the policy of a file, and the [Watcher] that keeps
// it there. Close the Watcher when the service ends.
func Guard(l middleware.Limiter, path string, o Options) (*middleware.Middleware, *Watcher, error) {
	var m *middleware.Middleware
	w, err := Watch(path, o, func(p middleware.Policy) (err error) {
		if m == nil { // within Watch
			m, err = middleware.New(l, p)
			return err
		}
		return m.Swap(p)
	})
	return m, w, err
}

// Hooks are the fields of a [middleware.Policy] that only a program can fill. A file's
// policy has those of the program and takes all others from the file: what it says is
// never replaced by a program's value. Where a hook would leave a field of the file
// without effect, the file is refused.
type Hooks struct {
	// Claims looks up a claim of the authenticated caller.
	Claims func(ctx context.Context, name string) (value string, ok bool)
	// Respond writes the refusals. It excludes the file's field problem.
	Respond func(w http.ResponseWriter, r *http.Request, refusal middleware.Refusal)
	// RequestID names the request in refusals.
	RequestID func(r *http.Request) string
	// Skip lets a request pass as if its route were exempt.
	Skip func(r *http.Request) bool
	// OnDecision hears of every decision.
	OnDecision func(middleware.Event)
	// RevealKeys puts the raw subject into the Event, and InContext the Events into the context.
	RevealKeys, InContext bool
	// Asked are the rules that handlers ask by themselves. Their names must not be in the file.
	Asked []middleware.Rule
	// Mux is the mux behind the middleware: patterns that it does not know are refused.
	Mux *http.ServeMux
	// Known is the same for another router, and Route tells which pattern it chose.
	Known func(pattern string) bool
	Route func(r *http.Request) string
	// Now is the wall clock that X-RateLimit-Reset is printed by; nil means time.Now.
	Now func() time.Time
}

// set puts the hooks into a policy.
func (h Hooks) set(p *middleware.Policy) {
	p.Claims, p.Respond, p.RequestID, p.Skip = h.Claims, h.Respond, h.RequestID, h.Skip
	p.OnDecision, p.RevealKeys, p.Mux, p.Now = h.OnDecision, h.RevealKeys, h.Mux, h.Now
	p.Known, p.Route, p.InContext, p.Asked = h.Known, h.Route, h.InContext, h.Asked
}
