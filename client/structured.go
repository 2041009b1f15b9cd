package client

import (
	"net/http"
	"time"
)

// whole is a non-negative integer that may be absent.
type whole struct {
	n     int64
	known bool
}

// policy is one member of RateLimit or RateLimit-Policy: its bare value and those
// of its parameters that the drafts define.
type policy struct {
	bare
	q, w, r, t whole // quota, window, remaining, seconds to the reset
	unit, part string
	bad        bool // a parameter is not what it has to be
}

// policiesMax bounds how many policies one answer may list.
const policiesMax = 32

// The fields are read leniently in one respect only: what RFC 9651 allows and the
// draft does not define is skipped. Everything else that deviates costs the field,
// since half of a broken value would be a guess.

// structured reads RateLimit and RateLimit-Policy. A field that breaks the syntax
// anywhere is ignored whole, as the draft and RFC 9651 ask.
func structured(h http.Header, now time.Time) RateLimit {
	// A field that is too long is absent, and then the other one stands alone.
	limits, _ := joined(h["Ratelimit"], listMax)
	quotas, _ := joined(h["Ratelimit-Policy"], listMax)
	if limits == "" && quotas == "" {
		return RateLimit{}
	}
	if isDictionary(limits) {
		return dictionary(limits, now)
	}
	// Four policies fit on the stack; few answers have more, and those may allocate.
	var bufL, bufQ [4]policy
	states, _ := parseList(limits, bufL[:0])
	policies, _ := parseList(quotas, bufQ[:0])
	if len(states) == 0 {
		// Broken or absent, the answer is the same: only policies can say something.
		return announced(policies)
	}
	best := RateLimit{}
	for i := range states {
		best = tightest(best, states[i].state(policies, now))
	}
	return best
}

// announced is what policies alone say: the limit, if there is just one.
func announced(policies []policy) (r RateLimit) {
	if len(policies) == 1 && policies[0].countsRequests() {
		r.Limit, r.LimitKnown = policies[0].quota()
		r.Policy = clip(policies[0].name())
	}
	return r
}

// state turns a member of RateLimit into a RateLimit, with the limit of the policy
// of the same name.
func (p *policy) state(policies []policy, now time.Time) (r RateLimit) {
	if p.bad || !p.r.known || !p.countsRequests() || p.kind != kindString && p.kind != kindToken {
		return r
	}
	if match := p.find(policies); match != nil {
		// The unit stands beside the quota in the newest draft, not beside the state.
		if !match.countsRequests() {
			return r
		}
		r.Limit, r.LimitKnown = match.quota()
	}
	r.Policy = clip(p.name())
	r.Remaining, r.RemainingKnown = p.r.n, true
	if p.t.known && p.t.n <= int64(farthest/time.Second) {
		r.ResetAfter, r.ResetKnown = time.Duration(p.t.n)*time.Second, true
		r.Reset = now.Add(r.ResetAfter)
	}
	return r
}

// find returns the policy that p is the state of: of the same name, and of the same
// partition where several share a name. Names that stay ambiguous match nothing.
func (p *policy) find(policies []policy) (match *policy) {
	for i := range policies {
		q := &policies[i]
		if q.text != p.text || q.kind == kindInteger {
			continue
		}
		if q.part == p.part {
			return q
		}
		if match != nil {
			return nil
		}
		match = q
	}
	return match
}

// quota is the limit that a policy announces: its q, or in the older drafts, where
// policies had no names, the value itself (`100;w=60`).
func (p *policy) quota() (int64, bool) {
	if p.bad {
		return 0, false
	}
	if p.kind == kindInteger {
		return p.number, true
	}
	return p.q.n, p.q.known
}

// countsRequests says that the policy's unit is requests, the default. Bytes or
// concurrent requests left are no number of requests.
func (p *policy) countsRequests() bool {
	return p.unit == "" || p.unit == "requests" || p.unit == "request"
}

// set takes over one parameter. Those that no draft defines are comments.
func (p *policy) set(key string, v bare) {
	number := func(to *whole) {
		if v.kind == kindInteger {
			*to = whole{v.number, true}
		} else {
			p.bad = true
		}
	}
	switch key {
	case "q":
		number(&p.q)
	case "w":
		number(&p.w)
	case "r":
		number(&p.r)
	case "t":
		number(&p.t)
	case "qu":
		p.unit = v.text
		p.bad = p.bad || v.kind != kindString && v.kind != kindToken
	case "pk":
		p.part = v.text
	}
}

// isDictionary tells draft 07's `limit=100, …` from a List, which may also begin
// with a letter: what follows the first word decides.
func isDictionary(line string) bool {
	c := cursor{s: line}
	c.skipSpace()
	return c.key() != "" && c.peek() == '='
}

// dictionary reads `limit=100, remaining=50, reset=5`.
func dictionary(line string, now time.Time) RateLimit {
	// Collected first: a break further on must not leave half of the values behind.
	var limit, remaining, left whole
	c := cursor{s: line}
	for more := c.first(); more; more = c.next() {
		key := c.key()
		var p policy
		if key == "" || !c.take('=') || !c.item(&p) {
			return RateLimit{}
		}
		v := whole{p.number, p.kind == kindInteger}
		switch key {
		case "limit":
			limit = v
		case "remaining":
			remaining = v
		case "reset":
			left = v
		}
	}
	if !c.done() {
		return RateLimit{}
	}
	r := RateLimit{Limit: limit.n, LimitKnown: limit.known, Remaining: remaining.n, RemainingKnown: remaining.known}
	// The draft has only seconds left here, so no second meaning is looked for.
	if left.known && left.n <= int64(farthest/time.Second) {
		r.ResetAfter, r.ResetKnown = time.Duration(left.n)*time.Second, true
		r.Reset = now.Add(r.ResetAfter)
	}
	return r
}
