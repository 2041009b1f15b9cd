package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

func node(key, value string, r *middleware.Rule, below ...middleware.DescriptorNode) middleware.DescriptorNode {
	return middleware.DescriptorNode{Key: key, Value: value, Rule: r, Descriptors: below}
}

func ruled(name string, quota int64) *middleware.Rule {
	r := perMinute(name, quota)
	return &r
}

// describes is a call about descriptors of the domain "edge", each written as "key=value,key=value".
func describes(all ...string) middleware.Call {
	c := middleware.Call{Domain: "edge"}
	for _, text := range all {
		var d middleware.Descriptor
		for e := range strings.SplitSeq(text, ",") {
			key, value, _ := strings.Cut(e, "=")
			d.Entries = append(d.Entries, middleware.Entry{Key: key, Value: value})
		}
		c.Descriptors = append(c.Descriptors, d)
	}
	return c
}

func edge(nodes ...middleware.DescriptorNode) middleware.Policy {
	return middleware.Policy{Domains: []middleware.Domain{{Name: "edge", Descriptors: nodes}}}
}

// decideOn makes one decision and ends it.
func decideOn(t *testing.T, m *middleware.Middleware, c middleware.Call) middleware.Outcome {
	t.Helper()
	o, err := m.Decide(t.Context(), c)
	require.NoError(t, err)
	o.Done(http.StatusOK)
	return o
}

// The most specific place counts, and only for descriptors of its depth.
func TestDescriptorsFindTheirRules(t *testing.T) {
	p := edge(
		node("path", "/v1/login", ruled("login", 9)),
		node("path", "/v1/*", ruled("v1", 9)),
		node("path", "/*", ruled("rooted", 9)),
		node("path", "", ruled("any path", 9)),
		node("address", "", ruled("address", 9),
			middleware.DescriptorNode{Key: "path", Value: "/free", Unlimited: true},
			node("path", "", ruled("address and path", 9))),
		node("message", "", nil, node("to", "", ruled("to", 9))),
	)
	m := engine(t, p)
	for text, want := range map[string]string{
		"path=/v1/login":          "login",
		"path=/v1/x":              "v1",
		"path=/x":                 "rooted",
		"path=":                   "any path",
		"path=*":                  "any path",
		"address=::1":             "address",
		"address=::1,path=/x":     "address and path",
		"address=::1,path=/free":  "",
		"address=::1,user=x":      "",
		"address=::1,path=/x,a=b": "",
		"path=/v1/login,a=b":      "",
		"message=x":               "",
		"message=x,to=y":          "to",
		"nobody=x":                "",
	} {
		o, err := m.Decide(t.Context(), describes(text))
		require.NoError(t, err)
		assert.True(t, o.Allowed)
		e, ok := o.Descriptor(0)
		assert.Equal(t, want, e.Rule, text)
		assert.Equal(t, want != "", ok, text)
		o.Done(http.StatusOK)
		_, ok = o.Descriptor(0)
		assert.False(t, ok, "the exchange may be another's by now")
	}
	other := describes("path=/v1/login")
	other.Domain = "another"
	assert.Nil(t, decideOn(t, m, other).Header(), "nothing is limited in a domain that nobody knows")
}

// Each descriptor has a budget of its own, which a program can name; no two lists of entries
// share one.
func TestDescriptorsHaveBudgets(t *testing.T) {
	p := edge(node("a", "", ruled("one", 2), node("b", "", ruled("two", 2))))
	p.Namespace = "n"
	l := limiter.NewLocal(limiter.Config{})
	m, err := middleware.New(l, p)
	require.NoError(t, err)
	for range 2 {
		require.True(t, decideOn(t, m, describes("a=x")).Allowed)
	}
	require.False(t, decideOn(t, m, describes("a=x")).Allowed)
	require.True(t, decideOn(t, m, describes("a=y")).Allowed)
	require.True(t, decideOn(t, m, describes("a=x,b=y")).Allowed)
	d, err := l.Take(t.Context(), p.BudgetKey("two", "edge", "a", "x", "b", "y"), limiter.Per(2, time.Minute), 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, d.Remaining)
	require.NoError(t, m.Reset(t.Context(), "one", "edge", "a", "x"))
	require.True(t, decideOn(t, m, describes("a=x")).Allowed)
}

// A call must pass all of its descriptors, and one that is refused spends from none.
func TestDescriptorsAreAllOrNothing(t *testing.T) {
	m := engine(t, edge(node("a", "", ruled("a", 5)), node("b", "", ruled("b", 1))))
	require.True(t, decideOn(t, m, describes("b=x")).Allowed)
	o, err := m.Decide(t.Context(), describes("c=x", "a=x", "b=x"))
	require.NoError(t, err)
	assert.False(t, o.Allowed)
	assert.Equal(t, http.StatusTooManyRequests, o.Refusal.Status)
	_, ok := o.Descriptor(0)
	assert.False(t, ok)
	e, _ := o.Descriptor(1)
	assert.EqualValues(t, 5, e.Decision.Remaining+boolInt(e.Verdict == middleware.Returned), "as if nothing had been taken")
	e, _ = o.Descriptor(2)
	assert.Equal(t, middleware.Denied, e.Verdict)
	o.Done(0)
	for range 5 {
		require.True(t, decideOn(t, m, describes("a=x")).Allowed)
	}
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// What a descriptor says of cost and limit counts.
func TestDescriptorsSayCostAndLimit(t *testing.T) {
	m := engine(t, edge(node("a", "", ruled("a", 10))))
	of := func(change func(d *middleware.Descriptor)) middleware.Outcome {
		c := describes("a=x")
		change(&c.Descriptors[0])
		return decideOn(t, m, c)
	}
	assert.True(t, of(func(d *middleware.Descriptor) { d.Cost = 7 }).Allowed)
	assert.False(t, of(func(d *middleware.Descriptor) { d.Cost = 4 }).Allowed)
	for _, cost := range []int64{11, 1 << 40, -1} {
		o := of(func(d *middleware.Descriptor) { d.Cost = cost })
		assert.False(t, o.Allowed, "never admitted")
		assert.Equal(t, http.StatusForbidden, o.Refusal.Status)
	}
	assert.True(t, of(func(d *middleware.Descriptor) { d.Cost = 3 }).Allowed, "all of it is taken now")
	assert.True(t, of(func(d *middleware.Descriptor) { d.Cost, d.Look = 3, true }).Allowed)

	two := limiter.Per(2, time.Hour)
	own := func(d *middleware.Descriptor) { d.Limit = &two }
	assert.True(t, of(own).Allowed)
	o, err := m.Decide(t.Context(), func() middleware.Call { c := describes("a=x"); own(&c.Descriptors[0]); return c }())
	require.NoError(t, err)
	e, _ := o.Descriptor(0)
	assert.Equal(t, middleware.RuleOfRequest, e.Rule)
	assert.Equal(t, two, e.Limit)
	o.Done(0)
	assert.False(t, of(own).Allowed)
	bad := of(func(d *middleware.Descriptor) { d.Limit = &limiter.Limit{Quota: 5} })
	assert.False(t, bad.Allowed)
	assert.Equal(t, http.StatusServiceUnavailable, bad.Refusal.Status)
	none := of(func(d *middleware.Descriptor) { d.Limit = &limiter.Limit{Window: time.Second} })
	assert.Equal(t, http.StatusForbidden, none.Refusal.Status)
}

// Shadow rules deny nothing, and say what they would.
func TestDescriptorsInShadow(t *testing.T) {
	r := ruled("a", 1)
	r.Shadow = true
	m := engine(t, edge(node("a", "", r)))
	decideOn(t, m, describes("a=x"))
	o, err := m.Decide(t.Context(), describes("a=x"))
	require.NoError(t, err)
	assert.True(t, o.Allowed)
	e, _ := o.Descriptor(0)
	assert.Equal(t, middleware.Denied, e.Verdict)
	assert.True(t, e.Shadow)
	o.Done(0)
}

// What cannot be meant is told, with its place.
func TestDomainsThatCannotBe(t *testing.T) {
	bad := func(change func(r *middleware.Rule)) middleware.Policy {
		r := ruled("a", 1)
		change(r)
		return edge(node("a", "", r))
	}
	for want, p := range map[string]middleware.Policy{
		"Domains[0].Name: is missing":               {Domains: []middleware.Domain{{}}},
		"Domains[0].Descriptors: is missing":        edge(),
		"Domains[0].Descriptors[0].Key: is missing": edge(node("", "x", ruled("a", 1))),
		"Domains[0].Descriptors[0].Rule: is missing: without it nothing is limited here or below":    edge(node("a", "", nil)),
		"Domains[0].Descriptors[0].Unlimited: true excludes rule":                                    edge(middleware.DescriptorNode{Key: "a", Rule: ruled("a", 1), Unlimited: true}),
		`Domains[0].Descriptors[1].Value: "x" is there twice for the key "a"`:                        edge(node("a", "x", ruled("a", 1)), node("a", "x", ruled("b", 1))),
		`Domains[0].Descriptors[1].Value: "x*" is there twice for the key "a"`:                       edge(node("a", "x*", ruled("a", 1)), node("a", "x*", ruled("b", 1))),
		`Domains[0].Descriptors[1].Value: "" is there twice for the key "a"`:                         edge(node("a", "", ruled("a", 1)), node("a", "", ruled("b", 1))),
		`Domains[1].Name: "edge" is there twice`:                                                     {Domains: append(edge(node("a", "", ruled("a", 1))).Domains, edge(node("a", "", ruled("b", 1))).Domains...)},
		`Domains[0].Descriptors[0].Descriptors[0].Rule.Name: "a" is already the name of`:             edge(node("a", "", ruled("a", 1), node("b", "", ruled("a", 1)))),
		`Domains[0].Descriptors[0].Rule.Name: "limit of the request" is already the name of Domains`: edge(node("a", "", ruled(middleware.RuleOfRequest, 1))),
		`Domains[0].Descriptors[0].Rule.Limit.Quota (rule "a"): -1`:                                  bad(func(r *middleware.Rule) { r.Limit.Quota = -1 }),
		`Domains[0].Descriptors[0].Rule.Key (rule "a"): has no effect on descriptors`:                bad(func(r *middleware.Rule) { r.Key = middleware.Shared() }),
		`Domains[0].Descriptors[0].Rule.Count (rule "a"): has no effect on descriptors`:              bad(func(r *middleware.Rule) { r.Count = middleware.CountFailures }),
		`Domains[0].Descriptors[0].Rule.Cost (rule "a"): has no effect on descriptors`:               bad(func(r *middleware.Rule) { r.CostOf = func(*http.Request) int64 { return 1 } }),
		`Domains[0].Descriptors[0].Rule.Absent (rule "a"): has no effect on descriptors`:             bad(func(r *middleware.Rule) { r.Absent = middleware.AbsentDeny }),
		`Domains[0].Descriptors[0].Rule.Plans (rule "a"): has no effect on descriptors`:              bad(func(r *middleware.Rule) { r.Plans = map[string]limiter.Limit{"x": {}} }),
		`Domains[0].Descriptors[0].Rule.Limit (rule "a"): has no effect on descriptors`: bad(func(r *middleware.Rule) {
			r.LimitOf = func(*http.Request) (l limiter.Limit, ok bool) { return l, false }
		}),
	} {
		_, err := middleware.New(limiter.NewLocal(limiter.Config{}), p)
		require.ErrorIs(t, err, middleware.ErrPolicy, want)
		assert.Contains(t, err.Error(), want)
	}
}
