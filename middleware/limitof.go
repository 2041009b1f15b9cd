package middleware

import (
	"hash/maphash"
	"net/http"
	"sync/atomic"

	"github.com/weir-go/weir/limiter"
)

// limitsSlots is how many limits of a rule's [Rule].LimitOf are remembered, a power of two.
const limitsSlots = 64

// limits makes budgets of the limits that a function of the program gives, and remembers
// them: customers are many, and their limits few.
type limits struct {
	name  string // of the rule
	of    func(*http.Request) (limiter.Limit, bool)
	seed  maphash.Seed
	slots [limitsSlots]atomic.Pointer[budget]
}

// newLimits is for a rule of that name; nil without a function.
func newLimits(name string, of func(*http.Request) (limiter.Limit, bool)) *limits {
	if of == nil {
		return nil
	}
	return &limits{name: name, of: of, seed: maphash.MakeSeed()}
}

// find is the budget of the limit that the function gives for r, or nil if it gives none.
// The error says what is wrong with the limit.
func (ls *limits) find(r *http.Request) (*budget, error) {
	l, ok := ls.of(r)
	if !ok {
		return nil, nil
	}
	return ls.budget(l)
}

// budget is that of a limit. The error says what is wrong with it.
func (ls *limits) budget(l limiter.Limit) (*budget, error) {
	slot := &ls.slots[maphash.Comparable(ls.seed, l)%limitsSlots]
	if b := slot.Load(); b != nil && b.limit == l {
		return b, nil
	}
	b, err := newBudget(ls.name, l, 0)
	if err != nil {
		return nil, badLimit{err}
	}
	slot.Store(b)
	return b, nil
}

// badLimit is the error about a limit that a function of the program gave. For errors.Is it is
// a limiter.ErrLimit.
type badLimit struct{ error }

// Is says that it is about a limit.
func (badLimit) Is(target error) bool { return target == limiter.ErrLimit }
