package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/weir-go/weir/limiter"
)

// Explain tells what each rule would say of a request, in the order in which the policy has them, and
// takes nothing: an Event whose Verdict is Returned is of a rule that would admit it. A
// request that no rule is for has none. No hook hears of it.
func (m *Middleware) Explain(r *http.Request) []Event {
	p := m.policy.Load()
	rt := p.find(r, "")
	if rt == nil {
		return nil
	}
	x := m.begin(p, rt, r)
	defer m.end(x)
	x.prepare()
	for i := range x.calls {
		x.calls[i].looked = true
	}
	m.askStacked(x, nil)
	return x.events()
}

// Look is one budget of a subject, and what is left of it.
type Look struct {
	Budget
	// Of says which it is: "rule" for the rule's own, and of a [Ban] "ban", "level", how often to
	// double the next one, and "strikes", the refusals that it takes.
	Of string
	// Decision is that of a take of nothing: Remaining is what is left.
	Decision limiter.Decision
	// Refuses says that a request with a cost of 1 would be refused because of this, and Wait for how
	// long: 0 for ever, where the quota is 0. Of a rule with [Rule.Shadow] it says what it would be without.
	Refuses bool
	Wait    time.Duration
}

// Look tells what is left of the budgets of a subject under a rule, and takes nothing: those of
// [Policy.Budgets], in that order. The error is the limiter's, or wraps [ErrRule].
func (m *Middleware) Look(ctx context.Context, rule string, parts ...string) (all []Look, err error) {
	r, key, err := m.named(rule, parts)
	if err != nil {
		return nil, err
	}
	of := [...]string{"rule", "ban", "level", "strikes"}
	budgets := r.budgets(key)
	if r.Limit.Quota == 0 { // it admits nothing; a plan or its function may, and then ban
		all = []Look{{Budget: Budget{key, r.Limit}, Of: "rule", Refuses: true}}
	}
	for i := len(all); i < len(budgets); i++ {
		b := budgets[i]
		l := Look{Budget: b, Of: of[i]}
		if l.Decision, err = m.limiter.Take(ctx, b.Key, b.Limit, 0); err != nil {
			return nil, err
		}
		switch l.Of {
		case "rule":
			l.Refuses, l.Wait = l.Decision.Remaining < 1, l.Decision.RetryAfter
		case "ban":
			l.Refuses, l.Wait = l.Decision.ResetAfter > 0, l.Decision.ResetAfter
		}
		all = append(all, l)
	}
	return all, nil
}

// ErrRule is wrapped by errors about a rule that the policy has not.
var ErrRule = errors.New("middleware: no such rule")

// named is a rule of the policy and the key of a subject under it.
func (m *Middleware) named(rule string, parts []string) (Rule, string, error) {
	c := m.policy.Load()
	r, ok := c.rules[rule]
	if !ok {
		return r, "", fmt.Errorf("%w: %q", ErrRule, rule)
	}
	return r, Policy{Namespace: c.namespace}.BudgetKey(rule, parts...), nil
}
