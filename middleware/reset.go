package middleware

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-go/weir/limiter"
)

// Resetter is what a [Limiter] can be besides, as *limiter.Local and nodes of a cluster are: one
// whose budgets can be made whole.
type Resetter interface {
	Reset(ctx context.Context, key string, l limiter.Limit) error
}

// ErrReset is wrapped by the error of Reset where the limiter is no [Resetter].
var ErrReset = errors.New("middleware: cannot reset")

// Reset makes all budgets whole that a subject has under a rule, also those that another quota
// would mean, and lifts its ban: the rule and the parts of the subject are those of
// [Policy.Budgets]. Other processes may refuse who was banned for a second more. A limit that
// [Rule.LimitOf] gives with another window or algorithm has a budget of its own, which the
// limiter's Reset names by [Policy.BudgetKey]. The error is the limiter's, or wraps ErrReset or
// [ErrRule].
func (m *Middleware) Reset(ctx context.Context, rule string, parts ...string) error {
	l, ok := m.limiter.(Resetter)
	if !ok {
		return fmt.Errorf("%w by %T", ErrReset, m.limiter)
	}
	r, key, err := m.named(rule, parts)
	if err != nil {
		return err
	}
	for _, b := range r.budgets(key) {
		if err := l.Reset(ctx, b.Key, b.Limit); err != nil {
			return err
		}
	}
	m.bans.forget(key)
	return nil
}
