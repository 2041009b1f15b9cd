package middleware

import (
	"crypto/sha256"
	"slices"
	"strconv"

	"github.com/weir-go/weir/limiter"
)

// BudgetKey is the key of a subject's budget under a rule, by which a program asks the
// limiter itself: to look at a budget (Take with a cost of 0), to give something back, or
// to take for work that no request stands for.
//
// The parts are the subject as the rule's [Key] finds it. Without a part it is the budget
// of [Shared], which is also that of the requests without a key ([AbsentShared]). One part
// is the subject of a simple key: the value of a header, a cookie, a claim or a path, or
// what a [Func] returns. Several are those of a [Join], in its order. Where a part is not
// the plain value, there is a function for it:
//
//	[Bearer]    BudgetKey("token", BearerSubject(token))
//	[ClientIP]  BudgetKey("default", policy.Address.Subject(addr))
//	[FirstOf]   BudgetKey("default", FirstOfSubject(1, policy.Address.Subject(addr)))
//	[Join] of a single key or within another key: JoinSubject(parts...)
//
// The key is that of a policy without a Namespace; [Policy.BudgetKey] knows it.
func BudgetKey(rule string, parts ...string) string {
	return Policy{}.BudgetKey(rule, parts...)
}

// BudgetKey is [BudgetKey] in the policy's Namespace.
func (p Policy) BudgetKey(rule string, parts ...string) string {
	subject := ""
	switch len(parts) {
	case 0:
	case 1:
		subject = parts[0]
	default:
		subject = JoinSubject(parts...)
	}
	return string(appendKey(nil, p.Namespace, rule, []byte(subject)))
}

// Budget is a budget of the limiter's: what to name to look at it, to give something back, or to
// start it anew.
type Budget struct {
	Key   string
	Limit limiter.Limit
}

// Budgets are those that a subject has under a rule of the policy, by the rule's name and the parts
// of the subject as for [BudgetKey]: first the rule's own, then those of its [Ban], the first of which
// is the ban itself. A ban that is reset is lifted, on other nodes a second later. It
// is nil where the policy has no such rule, or one that cannot be or admits nothing to anybody. Of
// one that admits nothing but by its Plans or LimitOf, the Limit is one by which the budget is found.
func (p Policy) Budgets(rule string, parts ...string) []Budget {
	r, ok := p.rules()[rule]
	if !ok {
		return nil
	}
	return r.budgets(p.BudgetKey(rule, parts...))
}

// rules are those of the policy by their names.
func (p *Policy) rules() map[string]Rule {
	all := [][]Rule{p.Always, p.Default, p.Asked}
	for _, r := range p.Routes {
		all = append(all, r.Rules)
	}
	named := map[string]Rule{}
	for _, r := range slices.Concat(all...) {
		if _, ok := named[r.Name]; !ok {
			named[r.Name] = r
		}
	}
	_ = p.described(func(_ string, r Rule) error { // it has no error of its own
		named[r.Name] = r
		return nil
	})
	return named
}

// budgets are the one of a key and those of its ban; nil for a rule that cannot be.
func (r Rule) budgets(key string) []Budget {
	own := Budget{key, r.Limit}
	if own.Limit.Quota == 0 {
		own.Limit.Quota, own.Limit.Burst = r.otherQuota(), 0
	}
	b, err := newBan(r)
	switch {
	case err != nil || own.Limit.Validate() != nil:
		return nil
	case b == nil:
		return []Budget{own}
	}
	return []Budget{own, {beside(key, banUntil), b.until}, {beside(key, banLevel), b.level}, {beside(key, banStrikes), b.strikes}}
}

// otherQuota is a quota that a rule which admits nothing by itself has for some: the largest of its
// plans, or 1 where its function may find one; else 0.
func (r Rule) otherQuota() (most int64) {
	if r.LimitOf != nil {
		most = 1
	}
	for _, l := range r.Plans {
		most = max(most, l.Quota)
	}
	return most
}

// JoinSubject is the subject of a [Join] whose keys find these.
func JoinSubject(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = append(appendLength(b, len(part)), part...)
	}
	return string(b)
}

// FirstOfSubject is the subject of a [FirstOf] whose key of that index, from 0, is the first
// that is there, and finds this.
func FirstOfSubject(index int, subject string) string {
	return string(append(appendLength(nil, index), subject...))
}

// BearerSubject is the subject of a request with that token, by [Bearer].
func BearerSubject(token string) string {
	sum := sha256.Sum256([]byte(token))
	return string(sum[:])
}

// appendLength appends what precedes a part of a subject: a number and a colon.
func appendLength(b []byte, n int) []byte {
	return append(strconv.AppendInt(b, int64(n), 10), ':')
}
