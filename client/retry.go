package client

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// Defaults of [Retry].
const (
	DefaultAttempts   = 4
	DefaultTotal      = 2 * time.Minute
	DefaultBackoff    = 250 * time.Millisecond
	DefaultMaxBackoff = 10 * time.Second
)

// Why names the reason of a wait; see [Transport].OnWait.
type Why string

const (
	// WhyRetryAfter is a refusal that says when to come back.
	WhyRetryAfter Why = "retry-after"
	// WhyReset is a refusal by a budget of which nothing is left until its reset.
	WhyReset Why = "reset"
	// WhyBackoff is a refusal that says nothing of when to come back.
	WhyBackoff Why = "backoff"
	// WhyConnection is a request without an answer.
	WhyConnection Why = "connection"
	// WhyPace is a request that is held back by the pacing. How long is then an
	// estimate: the answers to those ahead of it can make it shorter or longer.
	WhyPace Why = "pace"
)

// Retry says when to try again. Its zero value means the defaults. The package
// comment says which requests are tried again at all.
type Retry struct {
	// Attempts is how often a request is sent at most; 0 means DefaultAttempts, 1
	// sends it once.
	Attempts int
	// Total bounds the time from the first attempt to the start of the last one,
	// pacing and the reading of refused answers included; 0 means DefaultTotal. An
	// attempt under way is not cut short: that is what the request's context and [http.Client].Timeout are for.
	Total time.Duration
	// Backoff is the ceiling of the random wait before the second attempt; it
	// doubles with each one. 0 means DefaultBackoff.
	Backoff time.Duration
	// MaxBackoff is what the ceiling grows to; 0 means DefaultMaxBackoff. It does
	// not shorten what a server asks for.
	MaxBackoff time.Duration
	// Connections also repeats idempotent requests that got no answer. Such a
	// request may have been served, and counted, before the connection failed.
	Connections bool
}

// withDefaults fills in what is not set.
func (r Retry) withDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = DefaultAttempts
	}
	if r.Total <= 0 {
		r.Total = DefaultTotal
	}
	if r.Backoff <= 0 {
		r.Backoff = DefaultBackoff
	}
	if r.MaxBackoff <= 0 {
		r.MaxBackoff = DefaultMaxBackoff
	}
	return r
}

// deadline is the time from which on no attempt may start.
func (r *Retry) deadline(ctx context.Context, start time.Time) time.Time {
	end := start.Add(r.Total)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		return d
	}
	return end
}

// wait says how long to wait before the next attempt, and why; "" if there is none.
// The wait is what the server asks for, from the arrival of its answer, plus a random
// part. The random part is not just a substitute for it: clients refused together are
// told the same moment, and without it they would come back together.
func (r *Retry) wait(req *http.Request, resp *http.Response, err error, last *sighting, deadline time.Time) (time.Duration, Why) {
	least, why := last.least()
	at := last.Received.Add(least)
	left := deadline.Sub(at)
	// What cannot be in time is not waited for, and its body is not looked into.
	if last.attempts >= r.Attempts || left <= 0 || !r.repeatable(req, resp, err, last, left) {
		return 0, ""
	}
	now := time.Now() // looking into the body may have taken a while
	if at.Before(now) {
		at, left = now, deadline.Sub(now)
	}
	if left <= 0 {
		return 0, ""
	}
	return at.Sub(now) + rand.N(min(r.ceiling(last.attempts), left)), why
}

// ceiling is the upper end of the random wait after so many attempts.
func (r *Retry) ceiling(attempts int) time.Duration {
	d := min(r.Backoff, r.MaxBackoff)
	for ; attempts > 1 && d < r.MaxBackoff; attempts-- {
		// Doubled by adding what is missing at most, which cannot overflow.
		d += min(d, r.MaxBackoff-d)
	}
	return d
}

// least is the wait that the server asks for: Retry-After, or without it the time
// to the reset of a budget of which nothing is left.
func (s *sighting) least() (time.Duration, Why) {
	switch {
	case s.RetryAfterKnown:
		return s.RetryAfter, WhyRetryAfter
	case s.status == http.StatusTooManyRequests && s.ResetKnown && s.RemainingKnown && s.Remaining == 0:
		return s.ResetAfter, WhyReset
	case s.status == 0:
		return 0, WhyConnection
	}
	return 0, WhyBackoff
}

// repeatable says whether this outcome allows this request to be sent once more.
// The package comment gives the reasons.
func (r *Retry) repeatable(req *http.Request, resp *http.Response, err error, last *sighting, left time.Duration) bool {
	switch {
	case !replayable(req):
		return false
	case err != nil:
		return r.Connections && idempotent(req) && req.Context().Err() == nil
	case !last.refused:
		return false
	case resp.StatusCode == http.StatusServiceUnavailable:
		return last.RetryAfterKnown && (idempotent(req) || peek(resp, left).Code == CodeUnavailable)
	}
	return true
}

// idempotent says that serving the request twice is as good as once: by its method,
// or because it carries a key by which the server tells a repetition.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return len(req.Header["Idempotency-Key"]) > 0 || len(req.Header["X-Idempotency-Key"]) > 0
}

// replayable says that the request's body can be had a second time.
func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// replay returns the request with its body anew. The original stays as it is, as a
// RoundTripper must not change it.
func replay(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again := req.WithContext(req.Context())
	again.Body = body
	return again, nil
}
