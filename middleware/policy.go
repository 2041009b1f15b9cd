package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/weir-go/weir/limiter"
)

// Policy says what is limited, by how much, and what the client is told. It is a
// value: [New] and [Middleware.Swap] check and copy it, later changes have no effect.
//
// The zero Policy limits nothing and is refused: what protects a service should not
// be empty by accident.
type Policy struct {
	// Default holds the rules of every request that no route matches: one budget per
	// rule and subject for all those routes together. Usually it is one rule. Empty
	// means that such requests are not limited.
	Default []Rule
	// Routes replace Default for the requests that they match.
	Routes []Route
	// Always holds rules that are stacked upon Default and upon every route that is
	// not exempt, such as one budget for the whole service.
	Always []Rule

	// Asked holds rules that no request meets by itself: a handler asks them by
	// [Middleware.Allow], for a subject that only it knows.
	Asked []Rule

	// Address says whose address a request counts as; the zero value is the socket's
	// peer, IPv6 by /64.
	Address Address
	// Claims looks up a claim of the authenticated caller, such as "sub" of a verified
	// token that an outer handler left in the context. Keys made by [Claim] need it.
	Claims func(ctx context.Context, name string) (value string, ok bool)

	// Dialects are the header sets to send; 0 means XRateLimit.
	Dialects Dialect
	// ExposeHeaders names the limit headers in Access-Control-Expose-Headers, so that
	// scripts in a browser may read them. A handler that sets this header itself wins.
	ExposeHeaders bool
	// HideDegraded leaves out X-RateLimit-Degraded, which otherwise says "true" on an
	// answer that was given without the budget's owner.
	HideDegraded bool
	// KeepHeaders sets the limit headers again just before the response begins. It
	// is for handlers that rewrite the header map, and costs a wrapped ResponseWriter.
	KeepHeaders bool
	// EchoRequestID sends the request's id back on every limited response, not only
	// on those that this package writes.
	EchoRequestID bool
	// Problem answers in application/problem+json (RFC 9457) instead of the contract's JSON.
	Problem bool
	// Respond writes a refusal in the place of the built-in bodies. The limit headers,
	// Retry-After, Cache-Control and X-Request-Id are already set. A status that it does
	// not write is the refusal's.
	Respond func(w http.ResponseWriter, r *http.Request, refusal Refusal)
	// RequestID names the request in refusals; empty or insane (see [Refusal]) falls
	// back to the request's X-Request-Id, then to a new UUID.
	RequestID func(r *http.Request) string

	// Deny refuses requests with 403, whatever else the policy says of them, as a rule named
	// "deny" whose quota is 0. Allow lets requests pass as if their routes were exempt, unless
	// Deny has them. Neither is about what handlers ask ([Middleware.Allow]).
	Deny, Allow []Match
	// Shadow turns every rule into a shadow rule.
	Shadow bool
	// Skip lets a request pass as if its route were exempt.
	Skip func(r *http.Request) bool
	// SkipMethods lets all requests of these methods pass as if their routes were exempt.
	// Of OPTIONS only a preflight passes, which a browser sends by itself before the
	// request that counts: one with Access-Control-Request-Method. Anybody can send
	// one, so what answers it should be a CORS handler and nothing dear.
	SkipMethods []string
	// Namespace keeps the budgets of this policy apart from those of others that ask the
	// same limiter, whose rules may have the same names: printable ASCII of at most 64
	// bytes. Policies of one namespace, such as "", share the budgets of rules with one name.
	Namespace string
	// OnDecision hears of every decision, on the request's goroutine after the headers
	// are set: it should be quick. A panic in it is swallowed and counted ([Stats]).
	OnDecision func(Event)
	// InContext puts the decisions into the context of a request that passes, where its
	// handler finds them by [FromContext]. It costs a few allocations.
	InContext bool
	// RevealKeys puts the raw subject into the Event. Without it no address, token or
	// user name leaves this package.
	RevealKeys bool

	// Domains are the rules for what proxies ask by descriptors ([Call].Descriptors).
	Domains []Domain

	// Mux, if set, is the mux behind the middleware: a route whose pattern no request
	// to that mux can match is then refused as unknown, so that a misspelt route
	// cannot stay unlimited.
	Mux *http.ServeMux
	// Known is the same for any other router: it reports whether some request that
	// matches the pattern is one that the router has a handler for. See [KnownAmong].
	Known func(pattern string) bool
	// Route, if set, tells which pattern the router behind has chosen for a request, in
	// its own syntax ("/v1/users/:id") or that of http.ServeMux, with or without method
	// and host: then that counts, or a pattern of the policy that is a part of it, and no
	// other spelling of the path. "" means that it has chosen none. It is for a
	// middleware that runs inside of the router, where the choice is known.
	Route func(r *http.Request) string
	// Now is the wall clock that X-RateLimit-Reset is printed by; nil means time.Now.
	// No decision depends on it.
	Now func() time.Time

	clientIP appendSubject // the Address, checked once for all rules and patterns
	reads    *reads        // what the keys read of a request, collected by the check
}

// Route gives the requests that match one of its patterns rules of their own.
type Route struct {
	// Patterns are those of [http.ServeMux], such as "POST /v1/token" or
	// "example.com/v1/agents/{id}"; of several that match, the most specific wins. The
	// patterns of one route share its budgets.
	//
	// A limited route is also found by every other spelling by which some router may
	// lead to it: host in another case, with a port or a final dot, escapes, doubled
	// slashes, dot segments, a final slash. Where spellings lead to several limited
	// routes, all of them count. An exempt route is found only by requests that are
	// exempt however they are read.
	Patterns []string
	// Rules replace the default; several are stacked.
	Rules []Rule
	// Exempt routes have no rules: never limited, and they carry no limit header.
	Exempt bool
}

// On is a route of one pattern.
func On(pattern string, rules ...Rule) Route {
	return Route{Patterns: []string{pattern}, Rules: rules}
}

// Exempt is a route that is never limited.
func Exempt(patterns ...string) Route {
	return Route{Patterns: patterns, Exempt: true}
}

// Rule is one budget per subject.
type Rule struct {
	// Name is unique in the policy, printable ASCII of at most 64 bytes. It is part of
	// the budget's key: a renamed rule starts afresh, a moved one does not.
	Name string
	// Limit is the budget. A Quota of 0 admits nothing: requests are refused with 403, since
	// no wait makes them acceptable, and the limiter is not asked.
	Limit limiter.Limit
	// Plan and Plans let the limit depend on the request: where Plan finds a name that
	// Plans has, that limit counts instead. The budget stays the same one, so whoever
	// changes plans keeps what is already spent; so a plan has the Window and the
	// Algorithm of Limit. Read a plan only from what the client cannot forge.
	Plan  Key
	Plans map[string]limiter.Limit
	// LimitOf, if set, is the limit by request, such as that of a customer's record: before Plan
	// and Limit, which count where it says false. It is called for each request, so it should
	// look into memory. A Quota of 0 refuses with 403. A limit that cannot be refuses with
	// 503, and the Event says why. A budget is one of a Window and an Algorithm: whose record
	// changes these begins anew. A Cost that does not fit into the limit is all of it.
	LimitOf func(r *http.Request) (l limiter.Limit, ok bool)
	// Key finds the subject; the zero Key is the client's address, [ClientIP].
	Key Key
	// Absent says what happens where Key finds nothing; the zero value is AbsentShared.
	Absent Absent
	// Cost is what a request takes; 0 means 1.
	Cost int64
	// CostOf, if set, is the cost by request. 0 takes nothing and always passes. Below
	// 0 counts as 1. More than the limit can ever admit counts as all of it.
	CostOf func(r *http.Request) int64
	// Count says which responses count, by status; nil means all. The cost is taken
	// before the handler runs and given back after it if Count says false, so
	// requests in flight together cannot exceed the limit. A handler that panics
	// before it answers counts as 500.
	Count func(status int) bool
	// Ban, if set, refuses who goes on after so many refusals for longer.
	Ban Ban
	// Shadow decides, counts and reports, but never denies and shows no headers.
	Shadow bool
	// Outage says what happens when the limiter cannot decide properly.
	Outage Outage
}

// Absent is what to do with a request in which a rule's key finds no subject.
type Absent uint8

const (
	// AbsentShared puts all such requests on one budget. It is the default because it
	// is the one choice by which leaving a header out is neither a way around the
	// limit nor a refusal. But one client can then spend what all have that send no
	// key. Where keys are optional, FirstOf(Header("X-Api-Key"), ClientIP()) is better.
	AbsentShared Absent = iota
	// AbsentDeny refuses them with 403, since no wait makes them acceptable: for a key
	// that every client must have. The other rules of a stack are asked first, and
	// spend: so a client that sends no key still meets the limit of its address.
	AbsentDeny
	// AbsentSkip leaves the rule out for them: for a rule that is stacked upon one that
	// always has a subject, such as one by address. Alone it would be no limit at all
	// for whoever leaves the key out.
	AbsentSkip
)

// Outage is what to do with an answer that is degraded, or with none at all.
type Outage uint8

const (
	// OutageLocal uses a degraded decision, which keeps the bound that the limiter
	// documents. Where the limiter gives none at all, as a node of a cluster that has
	// left, this process decides alone by the same limit: its budgets start untouched
	// and are nobody else's, so that each such process admits up to the quota once. The
	// answer is marked degraded and counted in [Stats] as Local.
	OutageLocal Outage = iota
	// OutageOpen lets the request pass; without any decision it is counted in [Stats]
	// as FailedOpen.
	OutageOpen
	// OutageClosed refuses the request with 503.
	OutageClosed
)

// CountFailures is a [Rule].Count by which only responses of 400 and above count.
func CountFailures(status int) bool { return status >= 400 }

// CountStatuses is a [Rule].Count by which only the given statuses count.
func CountStatuses(statuses ...int) func(status int) bool {
	var counted [1000]bool
	for _, s := range statuses {
		if s >= 0 && s < len(counted) {
			counted[s] = true
		}
	}
	return func(status int) bool { return status >= 0 && status < len(counted) && counted[status] }
}
