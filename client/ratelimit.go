package client

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// RateLimit is what the headers of one answer say about a budget. Each value comes
// with a flag: a value whose flag is false is unknown, and zero.
type RateLimit struct {
	// Limit is how many requests the window allows.
	Limit int64
	// Remaining is how many of them are left, never negative.
	Remaining int64
	// Reset is when the budget resets: by the server's clock if the header is a
	// point in time, else Received plus the seconds left.
	Reset time.Time
	// ResetAfter is the time from Received to the reset, never negative. It is
	// measured against the answer's Date if that is within a day of the local clock,
	// so that a clock that is somewhat wrong on either side does not matter; Date is
	// cut to whole seconds, so it is up to a second too long, never too short.
	ResetAfter time.Duration
	// RetryAfter is how long the server asks to wait, never negative; what is longer
	// than 100 years is 100 years.
	RetryAfter time.Duration

	LimitKnown      bool
	RemainingKnown  bool
	ResetKnown      bool // for Reset and ResetAfter
	RetryAfterKnown bool

	// Policy names the policy that the values belong to, where the dialect has names.
	Policy string
	// Received is when the answer arrived, by the local clock.
	Received time.Time
}

// String gives the four values on one line, for logs.
func (r RateLimit) String() string {
	show := func(known bool, v any) any {
		if known {
			return v
		}
		return "unknown"
	}
	return fmt.Sprintf("limit=%v remaining=%v reset=%v retry-after=%v",
		show(r.LimitKnown, r.Limit), show(r.RemainingKnown, r.Remaining),
		show(r.ResetKnown, r.ResetAfter), show(r.RetryAfterKnown, r.RetryAfter))
}

// ParseRateLimit reads the rate-limit headers of an answer that arrived at now.
// It understands
//
//   - RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers, as
//     structured fields (`"default";r=97;t=42`) and in the form of draft 07
//     (`limit=100, remaining=97, reset=42`);
//   - X-RateLimit-Limit, -Remaining, -Reset (and -Reset-After), the same with
//     X-Rate-Limit-, and RateLimit-Limit and so on of the older drafts;
//   - X-Shopify-Shop-Api-Call-Limit (`32/40`: used of limit);
//   - Retry-After in seconds or as an HTTP-date.
//
// A Reset header has two meanings in the wild. Up to 366 days it is seconds left,
// within 366 days ahead (or one day behind) of the server's clock it is a Unix time,
// and anything else, milliseconds for one, is unknown.
//
// Where an answer shows several budgets, the one with the fewest requests left is
// taken whole, as that many can be sent before any of them is spent; of equals the
// one that takes longest to reset. Budgets counted in another unit than requests
// are passed over, and so is all but Retry-After on an answer out of a cache (Age
// above 0). Several lines of one header are one list, and a number that occurs twice
// with different values is unknown. A header that is longer than any real one (256
// bytes, structured fields 4 KiB) is as if absent.
func ParseRateLimit(h http.Header, now time.Time) RateLimit {
	best := RateLimit{}
	if !cached(h) {
		best = structured(h, now)
		for i := range families {
			best = tightest(best, families[i].read(h, now))
		}
		best = tightest(best, callLimit(h))
	}
	best.Received = now
	best.RetryAfter, best.RetryAfterKnown = retryAfter(h, now)
	return best
}

// cached says that the answer waited in a cache, so that its numbers are history.
func cached(h http.Header) bool {
	age, ok := single(h, "Age")
	return ok && strings.Trim(age, "0") != ""
}

// tightest returns whichever of a and b stops a client first, a if they are equal.
// The two are never mixed: values of different budgets make no sense together.
func tightest(a, b RateLimit) RateLimit {
	switch {
	case a.RemainingKnown != b.RemainingKnown:
		if b.RemainingKnown {
			return b
		}
		return a
	case a.Remaining != b.Remaining:
		if b.Remaining < a.Remaining {
			return b
		}
		return a
	case a.ResetKnown != b.ResetKnown:
		if b.ResetKnown {
			return b
		}
		return a
	case b.ResetAfter > a.ResetAfter, b.LimitKnown && !a.LimitKnown && b.ResetAfter == a.ResetAfter:
		return b
	}
	return a
}
