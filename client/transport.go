package client

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Transport is an [http.RoundTripper] that reads rate limits, repeats what was
// refused, and paces itself if asked to. The zero value repeats with the defaults
// of [Retry] and does not pace. It is safe for concurrent use, must not be copied,
// and its fields must not be changed once it is in use.
type Transport struct {
	// Base sends the requests; nil means [http.DefaultTransport].
	Base http.RoundTripper
	// Retry says how often and how long to try. To try once, set Attempts to 1.
	Retry Retry
	// Pace says whether to hold requests back; the zero value is PaceOff.
	Pace Pace
	// Route names the budget, within its host, that a request spends from; nil
	// means one budget per host. Needed for pacing where routes have limits of
	// their own: without it their numbers are taken for one budget's.
	Route func(*http.Request) string
	// ErrorOnLimit returns a [*RateLimitError] in place of a final 429, and of a
	// final 503 that comes from the limiter. An [http.Client] wraps it in a
	// *url.Error, which errors.As sees through.
	ErrorOnLimit bool
	// Limit403 takes a 403 with Retry-After for a refusal like a 429, with any
	// method. Some services (GitHub's secondary limits) refuse so, before anything
	// has happened; of others it is not known, so it is a choice.
	Limit403 bool
	// PaceMax is the longest that one answer can make the pacing hold requests back,
	// whatever it says; then one request tries again. 0 means DefaultPaceMax.
	PaceMax time.Duration
	// OnWait is called before each wait, for whoever watches: how long it will be,
	// and why. It runs on the request's goroutine, so it should be quick, and on
	// many of them at a time.
	OnWait func(wait time.Duration, why Why)

	mu   sync.Mutex // guards last
	last RateLimit

	pacer pacer
}

// LastRateLimit returns what the headers of the last answer said, of a repeated
// request each answer counting. An answer without headers makes all of it unknown.
func (t *Transport) LastRateLimit() RateLimit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	retry := t.Retry.withDefaults()
	deadline := retry.deadline(req.Context(), time.Now())
	var last sighting
	for next := req; ; {
		p, held, err := t.admit(req, deadline)
		if err == nil && held > 0 {
			// There is no answer to return in its place, so it is an error, asked for or not.
			err = last.heldBack(held)
		}
		if err != nil {
			closeBody(next)
			return nil, err
		}
		resp, err := t.send(next, p)
		last.see(t.received(p, resp, err))

		wait, why := retry.wait(req, resp, err, &last, deadline)
		if why == "" {
			return t.final(resp, err, &last)
		}
		t.announce(wait, why)
		if err := pause(req.Context(), resp, wait, deadline); err != nil {
			return nil, err
		}
		if next, err = replay(req); err != nil {
			return nil, fmt.Errorf("client: body for attempt %d: %w", last.attempts+1, err)
		}
	}
}

// sighting is what is known after some attempts at one request.
type sighting struct {
	RateLimit
	status   int // of the last answer, 0 if there was none
	refused  bool
	attempts int
}

// see takes over the outcome of one more attempt.
func (s *sighting) see(resp *http.Response, r RateLimit, refused bool) {
	s.attempts++
	s.RateLimit, s.status, s.refused = r, 0, refused
	if resp != nil {
		s.status = resp.StatusCode
	}
}

// admit asks the pacer for leave to send. A wait above 0 means no.
func (t *Transport) admit(req *http.Request, deadline time.Time) (pass, time.Duration, error) {
	if t.Pace == PaceOff {
		return pass{}, 0, nil
	}
	key := budgetKey{host: req.URL.Host}
	if t.Route != nil {
		key.route = t.Route(req)
	}
	return t.pacer.admit(req.Context(), key, t, deadline)
}

// send passes the request to Base. Should Base panic, the pacer must not wait for
// an answer that never comes.
func (t *Transport) send(req *http.Request, p pass) (resp *http.Response, err error) {
	returned := false
	defer func() {
		if !returned {
			t.pacer.lose(p)
		}
	}()
	resp, err = t.base().RoundTrip(req)
	returned = true
	return resp, err
}

// received reads the headers of an answer, tells those who want to know, and says
// whether it is a refusal.
func (t *Transport) received(p pass, resp *http.Response, err error) (*http.Response, RateLimit, bool) {
	if err != nil {
		t.pacer.lose(p)
		return nil, RateLimit{Received: time.Now()}, false
	}
	r := ParseRateLimit(resp.Header, time.Now())
	refused := t.refuses(resp.StatusCode, r)
	t.pacer.answer(p, r, refused)
	t.mu.Lock()
	t.last = r
	t.mu.Unlock()
	return resp, r, refused
}

// refuses says that an answer is one with which a limiter refuses.
func (t *Transport) refuses(status int, r RateLimit) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusForbidden:
		return t.Limit403 && r.RetryAfterKnown
	}
	return false
}

// announce tells of a wait.
func (t *Transport) announce(wait time.Duration, why Why) {
	if t.OnWait != nil {
		t.OnWait(wait, why)
	}
}

// final is what the caller gets: the answer, or the error that he asked for.
func (t *Transport) final(resp *http.Response, err error, last *sighting) (*http.Response, error) {
	if err != nil || !t.ErrorOnLimit || !last.refused {
		return resp, err
	}
	if limited := last.refusal(resp); limited != nil {
		drain(resp.Body, drainTime)
		return nil, limited
	}
	return resp, nil
}

// CloseIdleConnections passes the call of the same name of [http.Client] on to Base.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// base is what sends the requests.
func (t *Transport) base() http.RoundTripper {
	if t.Base == nil {
		return http.DefaultTransport
	}
	return t.Base
}

// pause waits before the next attempt, or until the context ends. Meanwhile, and
// not beforehand, the refused answer is read to its end, so that others can use its
// connection: a body that trickles delays nothing, as it is cut off in time.
func pause(ctx context.Context, resp *http.Response, wait time.Duration, deadline time.Time) error {
	start := time.Now()
	if resp != nil {
		drain(resp.Body, min(bodyTimeMax, max(wait, min(drainTime, deadline.Sub(start)-1))))
	}
	timer := time.NewTimer(wait - time.Since(start))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
