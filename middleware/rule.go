package middleware

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-go/weir/limiter"
)

// rule is a checked [Rule], bound to a pattern.
type rule struct {
	name    string
	pattern string // that chose it, "" for the default
	aside   bool   // of a route that the request is perhaps not of: shows only if it refuses
	budget  *budget
	plan    appendSubject
	plans   map[string]*budget
	limits  *limits // of LimitOf; nil without
	ban     *ban    // nil without
	subject appendSubject
	parts   func(subject string) []string // takes a subject apart; nil if it has no parts
	absent  Absent
	cost    int64
	costOf  func(*http.Request) int64
	count   func(int) bool
	shadow  bool
	outage  Outage
}

// budget is a limit with what its headers always say.
type budget struct {
	limit        limiter.Limit
	blocked      bool // the quota is 0: nothing is admitted, and the limiter is not asked
	capacity     int64
	capacityText string
	ietfName     string
	ietfPolicy   string
}

// compileRule checks one rule.
func compileRule(p *Policy, pattern string, r Rule) (*rule, error) {
	c := &rule{
		name: r.Name, pattern: pattern, absent: r.Absent, cost: r.Cost, costOf: r.CostOf,
		count: r.Count, shadow: r.Shadow || p.Shadow, outage: r.Outage, parts: r.Key.parts,
		limits: newLimits(r.Name, r.LimitOf),
	}
	if c.cost == 0 {
		c.cost = 1
	}
	switch {
	case r.Cost < 0:
		return nil, fieldError("cost", r.Cost, "is negative")
	case r.Absent > AbsentSkip:
		return nil, fieldError("absent", r.Absent, "is unknown")
	case r.Outage > OutageClosed:
		return nil, fieldError("outage", r.Outage, "is unknown")
	}
	var err error
	if c.budget, err = newBudget(r.Name, r.Limit, c.cost); err != nil {
		return nil, err
	}
	if c.ban, err = newBan(r); err != nil {
		return nil, err
	}
	bd := binding{policy: p, pattern: pattern, reads: p.reads}
	if r.CostOf != nil || r.LimitOf != nil {
		p.reads.anything()
	}
	if c.subject, err = r.Key.bound(bd); err != nil {
		return nil, keyError("key", r.Key, err)
	}
	if err := c.setPlans(r, bd); err != nil {
		return nil, err
	}
	return c, nil
}

// setPlans checks the plans of a rule.
func (c *rule) setPlans(r Rule, bd binding) error {
	if r.Plan.bind == nil {
		if len(r.Plans) > 0 {
			return &PolicyError{Path: "plan", Reason: "is missing: without it no plan is ever chosen"}
		}
		return nil
	}
	if len(r.Plans) == 0 {
		return &PolicyError{Path: "plans", Reason: "is missing: plan chooses one of them"}
	}
	var err error
	if c.plan, err = r.Plan.bound(bd); err != nil {
		return keyError("plan", r.Plan, err)
	}
	c.plans = make(map[string]*budget, len(r.Plans))
	for _, name := range slices.Sorted(maps.Keys(r.Plans)) { // sorted: one error, always the same
		if c.plans[name], err = newPlan(r, name, c.cost); err != nil {
			return within("plans."+name, err)
		}
	}
	return nil
}

// newPlan is the budget of a plan. Of another window or algorithm it would be another
// budget of the limiter's: whoever changes plans would begin anew, and by changing to and
// fro have two.
func newPlan(r Rule, name string, cost int64) (*budget, error) {
	l := r.Plans[name]
	b, err := newBudget(r.Name, l, cost)
	switch {
	case err != nil:
		return nil, err
	case l.Align != r.Limit.Align:
		return nil, fieldError("align", l.Align, fmt.Sprintf("is not the rule's, %v: what is spent would not carry over", r.Limit.Align))
	case l.Zone != r.Limit.Zone:
		return nil, fieldError("zone", l.Zone, "is not the rule's: what is spent would not carry over")
	case l.Window != r.Limit.Window:
		return nil, fieldError("window", l.Window, fmt.Sprintf("is not the rule's, %v: what is spent would not carry over", r.Limit.Window))
	case l.Algorithm != r.Limit.Algorithm:
		return nil, fieldError("algorithm", l.Algorithm, fmt.Sprintf("is not the rule's, %v: what is spent would not carry over", r.Limit.Algorithm))
	}
	return b, nil
}

// keyError names the key that is wrong; a field of its own stays the path.
func keyError(field string, k Key, err error) *PolicyError {
	e := within(field, err)
	if e.Value == "" {
		e.Value = k.String() + ":"
	}
	return e
}

// newBudget checks a limit and prepares its texts. A quota of 0, which is no limit to a
// limiter, admits nothing; its other fields are checked all the same.
func newBudget(name string, l limiter.Limit, cost int64) (*budget, error) {
	if l.Quota < 0 || l.Quota > limiter.MaxQuota {
		return nil, fieldError("quota", l.Quota, fmt.Sprintf("is not within 0 to %d", limiter.MaxQuota))
	}
	if l.Quota == 0 {
		checked := l
		checked.Quota = 1
		if err := checked.Validate(); err != nil {
			return nil, limitError(err)
		}
		return &budget{limit: l, blocked: true}, nil
	}
	if err := l.Validate(); err != nil {
		return nil, limitError(err)
	}
	b := &budget{limit: l, capacity: l.Capacity()}
	if cost > b.capacity {
		return nil, fieldError("cost", cost, fmt.Sprintf("can never fit into a limit of %d", b.capacity))
	}
	b.capacityText = strconv.FormatInt(b.capacity, 10)
	item := appendString(nil, name)
	b.ietfName = string(item)
	item = appendParam(item, "q", l.Quota)
	b.ietfPolicy = string(appendParam(item, "w", seconds(l.Span())))
	return b, nil
}

// limitError turns the limiter's "invalid limit: Quota 0 is not …" into the same with
// the field apart, so that a policy file's line can be found.
func limitError(err error) *PolicyError {
	_, text, _ := strings.Cut(err.Error(), limiter.ErrLimit.Error()+": ")
	words := strings.SplitN(text, " ", 3)
	if len(words) < 3 {
		return &PolicyError{Path: "limit", Reason: err.Error()}
	}
	return &PolicyError{Path: strings.ToLower(words[0]), Value: words[1], Reason: words[2]}
}
