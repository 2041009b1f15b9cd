package middleware

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Dialect is a set of header forms; join them with "|".
type Dialect uint8

const (
	// XRateLimit is X-RateLimit-Limit, -Remaining and -Reset, the reset in Unix seconds.
	XRateLimit Dialect = 1 << iota
	// XRateLimitSeconds is the same with the reset in seconds from now. It excludes
	// XRateLimit: one header cannot mean two things.
	XRateLimitSeconds
	// IETF is RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers,
	// as structured fields.
	IETF
	// NoHeaders sends no limit headers at all. Retry-After still says when to return.
	NoHeaders
)

// The header names as the header map has them: assigning to the map under its own keys
// saves net/http the work of finding out that they are canonical.
const (
	headerLimit      = "X-Ratelimit-Limit"
	headerRemaining  = "X-Ratelimit-Remaining"
	headerReset      = "X-Ratelimit-Reset"
	headerDegraded   = "X-Ratelimit-Degraded"
	headerIETFPolicy = "Ratelimit-Policy"
	headerIETF       = "Ratelimit"
	headerRetryAfter = "Retry-After"
	headerRequestID  = "X-Request-Id"
)

// seconds rounds up: told too early, a client that obeys would be denied again.
func seconds(d time.Duration) int64 {
	return int64((max(d, 0) + time.Second - 1) / time.Second)
}

// unixCeil is t in Unix seconds, rounded up.
func unixCeil(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// setHeaders puts the limit headers of the decisions into h. What is not known, because
// the limiter gave no decision, is left out rather than made up.
func (p *compiled) setHeaders(h http.Header, x *exchange) {
	calls := x.calls
	shown := tightest(calls)
	if shown == nil {
		return // shadow rules only: for the client there is no limit
	}
	if p.dialects&(XRateLimit|XRateLimitSeconds) != 0 {
		if x.three = p.xRateLimit(shown); !x.lazy {
			x.spell(h)
		}
	}
	if p.dialects&IETF != 0 {
		setIETF(h, calls)
	}
	if !p.hideDegraded && degraded(calls) {
		h[headerDegraded] = []string{"true"}
	}
	if p.exposed != "" {
		h.Add("Access-Control-Expose-Headers", p.exposed)
	}
}

// xRateLimit is what one rule shows, in the order of xNames: the limit alone where there is no
// decision. The values share one array and the two changing ones share one string: two
// allocations, which the header map keeps.
func (p *compiled) xRateLimit(c *call) []string {
	values := make([]string, 3)
	values[0] = c.budget.capacityText
	if !c.decided() {
		return values[:1]
	}
	reset := seconds(c.decision.ResetAfter)
	if p.dialects&XRateLimit != 0 {
		reset = unixCeil(p.now().Add(c.decision.ResetAfter))
	}
	var digits [40]byte
	b := strconv.AppendInt(digits[:0], c.left(), 10)
	split := len(b)
	text := string(strconv.AppendInt(b, reset, 10))
	values[1], values[2] = text[:split], text[split:]
	return values
}

// xNames are the names of what xRateLimit gives.
var xNames = [...]string{headerLimit, headerRemaining, headerReset}

// spell puts the values of X-RateLimit-* into h.
func (x *exchange) spell(h http.Header) {
	for i := range x.three {
		h[xNames[i]] = x.three[i : i+1 : i+1]
	}
	x.three = nil
}

// setIETF shows all rules, in the order of the policy.
func setIETF(h http.Header, calls []call) {
	var policy, state []byte
	for i := range calls {
		c := &calls[i]
		if !c.shows() {
			continue
		}
		policy = appendItem(policy, c.budget.ietfPolicy)
		if !c.decided() {
			continue
		}
		state = appendItem(state, c.budget.ietfName)
		state = appendParam(state, "r", c.left())
		state = appendParam(state, "t", seconds(c.decision.ResetAfter))
	}
	h[headerIETFPolicy] = []string{string(policy)}
	if len(state) > 0 {
		h[headerIETF] = []string{string(state)}
	}
}

// appendItem appends a member of a structured list.
func appendItem(b []byte, item string) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	return append(b, item...)
}

// tightest is the rule that the headers show: of the denied ones, else of all, the one
// that admits the fewest further requests like this one; nil if all are shadow rules.
// Equals are told apart by what is left in proportion, then by the longer wait.
func tightest(calls []call) *call {
	var best *call
	for i := range calls {
		c := &calls[i]
		if c.shows() && (best == nil || c.tighter(best)) {
			best = c
		}
	}
	return best
}

// shows reports whether the client is told of a rule: it counts, and it is of the route
// that the request is of as far as can be known, or refuses.
func (c *call) shows() bool {
	return !c.rule.shadow && (!c.rule.aside || c.verdict.refuses())
}

// tighter reports whether c rather than d is to be shown.
func (c *call) tighter(d *call) bool {
	if c.decided() != d.decided() {
		return c.decided() // a decision tells more than none
	}
	if cd, dd := c.verdict.denies(), d.verdict.denies(); cd != dd {
		return cd
	}
	if n, m := c.further(), d.further(); n != m {
		return n < m
	}
	// Both factors are at most 2^31, so the products do not overflow.
	if left, other := c.left()*d.budget.capacity, d.left()*c.budget.capacity; left != other {
		return left < other
	}
	return c.decision.ResetAfter > d.decision.ResetAfter
}

// decided reports whether there is a decision about the call.
func (c *call) decided() bool { return c.err == nil && !c.verdict.forbids() }

// further is how many more requests like this one the rule admits. What costs nothing is
// admitted for ever.
func (c *call) further() int64 {
	if c.cost == 0 {
		return math.MaxInt64
	}
	return c.left() / c.cost
}

// left is what is left after the request, including what was given back.
func (c *call) left() int64 {
	n := c.decision.Remaining
	if c.returned {
		n += c.cost
	}
	return min(n, c.budget.capacity)
}

// degraded reports whether a rule that the client feels was decided without its owner.
func degraded(calls []call) bool {
	for i := range calls {
		c := &calls[i]
		if !c.rule.shadow && (c.err != nil || c.decision.Degraded) {
			return true
		}
	}
	return false
}

// exposedNames lists what Access-Control-Expose-Headers should name.
func exposedNames(d Dialect, hideDegraded bool) string {
	names := "Retry-After, X-Request-Id"
	if d&(XRateLimit|XRateLimitSeconds) != 0 {
		names += ", X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
	}
	if d&IETF != 0 {
		names += ", RateLimit-Policy, RateLimit"
	}
	if !hideDegraded {
		names += ", X-RateLimit-Degraded"
	}
	return names
}
