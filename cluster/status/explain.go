package status

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/middleware"
)

const (
	explainTimeout = 5 * time.Second
	explainMost    = 50   // rules that are asked, where none is named
	wordsMost      = 8    // parts of a subject
	wordMost       = 4096 // bytes of a part
)

// Question is what the form asks: whom, and under which rule.
type Question struct {
	Rule string `json:"rule"` // "" for all rules
	// Subject has the parts of the subject as a person writes them, see middleware.Middleware.Parts.
	Subject []string `json:"subject"`
}

// Explained is the answer. Nothing was counted for it.
type Explained struct {
	Question Question `json:"question"`
	Error    string   `json:"error,omitempty"`
	// Denies are the rules that would refuse a request of this subject with a cost of 1.
	Denies []string        `json:"denies"`
	Rules  []ExplainedRule `json:"rules"`
}

// Whole says that all rules that were asked for have answered.
func (x *Explained) Whole() bool {
	return x.Error == "" && !slices.ContainsFunc(x.Rules, func(r ExplainedRule) bool { return r.Error != "" })
}

// ExplainedRule is what there is to know of a subject under one rule.
type ExplainedRule struct {
	Rule string `json:"rule"`
	Key  string `json:"key"`
	// Error says why there is no answer, as where no request's subject under this rule can be the one asked for.
	Error string `json:"error,omitempty"`
	ID    string `json:"id"`
	Limit string `json:"limit"`
	// Shadow says that the rule refuses nobody, whatever Refuses says.
	Shadow  bool     `json:"shadow,omitempty"`
	Refuses bool     `json:"refuses"`
	Budgets []Budget `json:"budgets"`

	Partition int      `json:"partition"`
	Owner     string   `json:"owner"`
	Holder    string   `json:"holder"` // who decides; "" where nobody is known
	Term      uint64   `json:"term"`
	Copies    []string `json:"copies"`
	Counts    []Held   `json:"counts"`
	Leases    []Held   `json:"leases"`
	Here      int64    `json:"leased_here"`
	Denied    float64  `json:"denial_remembered_seconds"`
	Path      string   `json:"path"`
	Degraded  bool     `json:"degraded"`
}

// Budget is one of a subject's budgets: the rule's own, and those of its ban.
type Budget struct {
	Of         string  `json:"of"`
	Limit      string  `json:"limit"`
	Remaining  int64   `json:"remaining"`
	ResetAfter float64 `json:"reset_after_seconds"`
	Refuses    bool    `json:"refuses"`
	Wait       float64 `json:"wait_seconds"` // 0 for ever, where it refuses and the quota is 0
}

// Held is what one node has counted of a budget, or has leased of it.
type Held struct {
	Node   string `json:"node"`
	Amount int64  `json:"amount"`
}

// explain answers the form.
func (p *Page) explain(ctx context.Context, q Question) *Explained {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	x := &Explained{Question: q, Denies: []string{}, Rules: []ExplainedRule{}}
	g := p.guard.Load()
	if g == nil {
		x.Error = "this page knows no middleware: the program has not called Guard"
		return x
	}
	rules := g.Rules()
	if q.Rule != "" {
		rules = slices.DeleteFunc(rules, func(r middleware.Rule) bool { return r.Name != q.Rule })
	}
	switch {
	case len(rules) == 0:
		x.Error = "the policy has no such rule"
	case len(rules) > explainMost:
		x.Error = fmt.Sprintf("only the first %d of %d rules were asked: name one", explainMost, len(rules))
	}
	for _, rule := range rules[:min(len(rules), explainMost)] {
		r := ExplainedRule{Rule: rule.Name, Key: rule.Key.String(), Limit: limitText(rule.Limit), Shadow: rule.Shadow,
			Budgets: []Budget{}, Copies: []string{}, Counts: []Held{}, Leases: []Held{}}
		if err := p.explainRule(ctx, g, &r, q.Subject); err != nil {
			r.Error = err.Error()
		}
		if r.Refuses && !r.Shadow {
			x.Denies = append(x.Denies, r.Rule)
		}
		x.Rules = append(x.Rules, r)
	}
	return x
}

// explainRule completes r.
func (p *Page) explainRule(ctx context.Context, g *middleware.Middleware, r *ExplainedRule, words []string) error {
	parts, err := g.Parts(r.Rule, words...)
	if err != nil {
		return err
	}
	id, err := g.KeyID(r.Rule, parts...)
	if err != nil {
		return err
	}
	looks, err := g.Look(ctx, r.Rule, parts...)
	if err != nil {
		return err
	}
	r.ID = idText(id)
	for _, l := range looks {
		r.Refuses = r.Refuses || l.Refuses
		r.Budgets = append(r.Budgets, Budget{Of: l.Of, Limit: limitText(l.Limit), Remaining: l.Decision.Remaining,
			ResetAfter: l.Decision.ResetAfter.Seconds(), Refuses: l.Refuses, Wait: l.Wait.Seconds()})
	}
	if len(looks) == 0 || looks[0].Limit.Quota == 0 {
		return nil // it has no budget
	}
	e, err := p.node.Explain(ctx, looks[0].Key, looks[0].Limit)
	if err != nil {
		return err
	}
	r.locate(e)
	return nil
}

// locate adds where the budget is.
func (r *ExplainedRule) locate(e cluster.Explanation) {
	r.Partition, r.Owner, r.Holder, r.Term = e.Partition, e.Owner, e.Holder, e.Term
	r.Copies = append(r.Copies, e.Copies...)
	r.Here, r.Denied = e.Here, e.Denied.Seconds()
	r.Path, r.Degraded = e.Decision.Path.String(), e.Decision.Degraded
	for _, c := range e.Counts {
		r.Counts = append(r.Counts, Held{c.Node, c.Taken})
	}
	for _, l := range e.Leases {
		r.Leases = append(r.Leases, Held{l.Node, l.Slice})
	}
}

// questionOf reads the form: the parts of the subject are lines of one field, or several fields.
func questionOf(rule string, fields []string) (q Question, ok bool) {
	q = Question{Rule: strings.TrimSpace(rule), Subject: []string{}}
	for _, field := range fields {
		for line := range strings.SplitSeq(field, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				q.Subject = append(q.Subject, line)
			}
			if len(line) > wordMost || len(q.Subject) > wordsMost {
				return q, false
			}
		}
	}
	return q, true
}
