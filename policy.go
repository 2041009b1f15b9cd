package weir

import (
	"context"
	"net/http"

	"github.com/weir-go/weir/middleware"
)

// Limiter is what a [Middleware] asks: a *[Node] or a *[Local].
type Limiter = middleware.Limiter

// Middleware guards handlers by a policy. Wrap is for net/http, Begin and Decide are for whatever
// else there is; Swap puts another policy in force.
type Middleware = middleware.Middleware

// New returns a Middleware that enforces p by asking l.
func New(l Limiter, p Policy) (*Middleware, error) { return middleware.New(l, p) }

// Policy says what is limited, by how much, and what clients are told.
type Policy = middleware.Policy

// Rule is one budget per subject.
type Rule = middleware.Rule

// Route gives the requests that match one of its patterns rules of their own.
type Route = middleware.Route

// On is a route of one pattern.
func On(pattern string, rules ...Rule) Route { return middleware.On(pattern, rules...) }

// Exempt is a route that is never limited.
func Exempt(patterns ...string) Route { return middleware.Exempt(patterns...) }

// Ban refuses who goes on after so many refusals for longer.
type Ban = middleware.Ban

// Match says whom Policy.Deny or Policy.Allow is about.
type Match = middleware.Match

// Address says whose address a request counts as: which proxies are believed.
type Address = middleware.Address

// What a rule does with a request in which its key finds nothing.
const (
	AbsentShared = middleware.AbsentShared
	AbsentDeny   = middleware.AbsentDeny
	AbsentSkip   = middleware.AbsentSkip
)

// What a rule does without a proper decision.
const (
	OutageLocal  = middleware.OutageLocal
	OutageOpen   = middleware.OutageOpen
	OutageClosed = middleware.OutageClosed
)

// The forms of limit headers, for Policy.Dialects.
const (
	XRateLimit        = middleware.XRateLimit
	XRateLimitSeconds = middleware.XRateLimitSeconds
	IETF              = middleware.IETF
	NoHeaders         = middleware.NoHeaders
)

// CountFailures is a Rule.Count by which only responses of 400 and above count.
func CountFailures(status int) bool { return middleware.CountFailures(status) }

// CountStatuses is a Rule.Count by which only the given statuses count.
func CountStatuses(statuses ...int) func(status int) bool {
	return middleware.CountStatuses(statuses...)
}

// Key finds the subject of a request: the one whose budget it spends.
type Key = middleware.Key

// ClientIP is the client's address. It is the key of a rule that has no other.
func ClientIP() Key { return middleware.ClientIP() }

// Header is the value of a request header.
func Header(name string) Key { return middleware.Header(name) }

// Cookie is the value of a cookie.
func Cookie(name string) Key { return middleware.Cookie(name) }

// Bearer is the bearer token of the Authorization header, hashed.
func Bearer() Key { return middleware.Bearer() }

// Claim is a claim of the authenticated caller, found by Policy.Claims.
func Claim(name string) Key { return middleware.Claim(name) }

// Subject is the claim "sub".
func Subject() Key { return middleware.Subject() }

// PathValue is what matched the wildcard {name} of the route's pattern.
func PathValue(name string) Key { return middleware.PathValue(name) }

// Shared puts all requests on one budget.
func Shared() Key { return middleware.Shared() }

// KeyFunc is a key of your own.
func KeyFunc(f func(r *http.Request) (subject string, ok bool)) Key { return middleware.Func(f) }

// Join is one subject of several: each combination has its own budget.
func Join(keys ...Key) Key { return middleware.Join(keys...) }

// FirstOf is the first of keys that is there.
func FirstOf(keys ...Key) Key { return middleware.FirstOf(keys...) }

// Event tells what one rule decided.
type Event = middleware.Event

// What a rule made of a request, in an Event.
const (
	Admitted    = middleware.Admitted
	Denied      = middleware.Denied
	Returned    = middleware.Returned
	Open        = middleware.Open
	Unavailable = middleware.Unavailable
	KeyMissing  = middleware.KeyMissing
	Canceled    = middleware.Canceled
	Blocked     = middleware.Blocked
	Banned      = middleware.Banned
)

// FromContext is what was decided about the request that ctx belongs to, with Policy.InContext.
func FromContext(ctx context.Context) []Event { return middleware.FromContext(ctx) }
