package client

import (
	"net/http"
	"strings"
	"time"
)

// family is one spelling of the headers that tell limit, remaining and reset apart
// by name. The names are canonical, as they are looked up without converting.
type family struct {
	limit, remaining, reset, resetAfter string
}

// families are the spellings in use. Whether a reset is a point in time or seconds
// left does not follow from the spelling: GitLab sends Unix time in RateLimit-Reset,
// where the drafts had seconds.
var families = [...]family{
	{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Reset-After"},
	{"X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset", "X-Rate-Limit-Reset-After"},
	{"Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset", "Ratelimit-Reset-After"},
}

// read returns what the headers of this family say.
func (f *family) read(h http.Header, now time.Time) (r RateLimit) {
	if v, ok := single(h, f.limit); ok {
		r.Limit, r.LimitKnown = leading(v)
	}
	if v, ok := single(h, f.remaining); ok {
		r.Remaining, r.RemainingKnown = leading(v)
	}
	if !r.LimitKnown && !r.RemainingKnown {
		// A reset alone says nothing of a budget, and other things reset too.
		return RateLimit{}
	}
	// A duration goes before a point in time: it needs nobody's clock.
	if v, ok := single(h, f.resetAfter); ok {
		if r.ResetAfter, r.ResetKnown = period(v); r.ResetKnown {
			r.Reset = now.Add(r.ResetAfter)
		}
	} else if v, ok := single(h, f.reset); ok {
		r.Reset, r.ResetAfter, r.ResetKnown = reset(v, h, now)
	}
	return r
}

// reset reads a reset of either meaning; see [ParseRateLimit] for the border.
func reset(v string, h http.Header, now time.Time) (at time.Time, after time.Duration, ok bool) {
	if after, ok = period(v); ok {
		return now.Add(after), after, true
	}
	if at, after, ok = instant(v, h, now); ok {
		return at, after, true
	}
	return time.Time{}, 0, false
}

// leading reads a number, or the first of a list as the older drafts have it:
// `100, 100;w=60, 5000;w=3600` or `76;w=21600`. In such a list every number after
// the first has a window: `100, 200` is two answers run together and so unknown.
func leading(v string) (int64, bool) {
	end := strings.IndexAny(v, ";,")
	if end < 0 {
		return count(v)
	}
	var buf [4]policy
	list, ok := parseList(v, buf[:0])
	if !ok || len(list) == 0 {
		return 0, false
	}
	for i, p := range list {
		if p.kind != kindInteger || p.bad || i > 0 && !p.w.known {
			return 0, false
		}
	}
	return list[0].number, true
}

// callLimit reads the header of Shopify's REST API: requests in the bucket, a slash,
// its size.
func callLimit(h http.Header) (r RateLimit) {
	v, ok := single(h, "X-Shopify-Shop-Api-Call-Limit")
	if !ok {
		return r
	}
	used, size, ok := strings.Cut(v, "/")
	if !ok {
		return r
	}
	// There is no reset: the bucket leaks at a rate that the header does not give.
	u, okUsed := count(used)
	n, okSize := count(size)
	if !okUsed || !okSize || u > n {
		return r
	}
	r.Limit, r.LimitKnown = n, true
	r.Remaining, r.RemainingKnown = n-u, true
	return r
}
