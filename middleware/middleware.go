package middleware

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/weir-go/weir/limiter"
)

// Limiter is what the middleware asks. *limiter.Local is one, a node of a cluster is
// another. It must be safe for concurrent use.
//
// The key is only valid during the call: its bytes are used again afterwards. An
// implementation that keeps it, even as the key of a map, must keep a copy
// ([strings.Clone]).
type Limiter interface {
	// Take takes cost from the budget of key, or takes nothing and says when to come back.
	Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error)
	// Give returns what an earlier Take took.
	Give(ctx context.Context, key string, l limiter.Limit, cost int64) error
}

// Holder is what a [Limiter] can be besides, as *limiter.Local and nodes of a cluster are:
// one that takes on trial. With it, a request that one of several rules denies leaves no
// trace in the budgets of the others, not even in what others are told meanwhile, and
// what is given back late goes to the window that it was taken from. A Limiter that
// wraps another should pass these on.
type Holder interface {
	// Hold is Take on trial: until Keep or Refund, whoever is denied because of it is told
	// so (limiter.Decision.Tentative).
	Hold(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error)
	// Keep says that what a Hold took is spent. It does not wait.
	Keep(key string, l limiter.Limit, cost int64, w limiter.Window)
	// Refund gives back what a Hold took, to the window that its Decision named.
	Refund(ctx context.Context, key string, l limiter.Limit, cost int64, w limiter.Window) error
}

// Middleware guards handlers by a policy, which can be swapped while it works. It is
// safe for concurrent use. It has no goroutine and needs no Close.
type Middleware struct {
	limiter    Limiter
	holder     Holder                // the limiter, if it is one
	identifier Identifier            // the same
	inProcess  bool                  // the limiter answers at once
	local      func() *limiter.Local // decides where the limiter does not; made when needed
	suspects   suspects
	bans       bans
	peers      peers

	policy atomic.Pointer[compiled]
	stats  stats
	// exchanges are buffers between requests. The pool belongs to this Middleware and
	// holds nothing that a ResponseWriter or a client could reach.
	exchanges sync.Pool
}

// New returns a Middleware that enforces p by asking l. The error wraps ErrPolicy and is
// a *[PolicyError] that names the place in the policy and the value.
func New(l Limiter, p Policy) (*Middleware, error) {
	if l == nil {
		return nil, errors.New("middleware: the limiter is nil")
	}
	c, err := compile(p)
	if err != nil {
		return nil, err
	}
	m := &Middleware{limiter: l, local: sync.OnceValue(func() *limiter.Local { return limiter.NewLocal(limiter.Config{}) })}
	m.holder, _ = l.(Holder)
	m.identifier, _ = l.(Identifier)
	_, m.inProcess = l.(*limiter.Local)
	m.suspects.init()
	m.bans.init()
	m.peers.seed = maphash.MakeSeed()
	m.exchanges.New = func() any { return new(exchange) }
	m.policy.Store(c)
	return m, nil
}

// Swap puts p in force for all requests that begin from now on, whole and at once. A
// policy that cannot be leaves the old one in force. Budgets carry over: they belong
// to rule names and subjects, so another quota applies to what is already spent, and
// another window or algorithm starts a new budget.
func (m *Middleware) Swap(p Policy) error {
	c, err := compile(p)
	if err != nil {
		return err
	}
	m.policy.Store(c)
	return nil
}

// Wrap returns next guarded by the policy. It can guard any number of handlers, which
// then share the budgets.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch e, ok := m.Begin(w, r); {
		case !ok:
		case e.x == nil:
			next.ServeHTTP(w, e.request)
		default:
			e.serve(w, next)
		}
	})
}

// statusClientGone is what logs see of a request whose client left before there was a
// decision; no client sees it. It is no 5xx, for nothing failed, and no 200, which
// net/http would make of no answer at all.
const statusClientGone = 499
