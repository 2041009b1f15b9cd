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
		last.see(resp, t.received(p, resp, err))

		wait, ok := retry.wait(req, resp, err, &last, deadline)
		if !ok {
			return t.final(resp, err, &last)
		}
		if resp != nil {
			// Before the wait, so that others can use the connection meanwhile.
			drain(resp.Body)
		}
		if err := sleep(req.Context(), wait); err != nil {
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
	attempts int
}

// see takes over the outcome of one more attempt.
func (s *sighting) see(resp *http.Response, r RateLimit) {
	s.attempts++
	s.RateLimit, s.status = r, 0
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
	return t.pacer.admit(req.Context(), key, t.Pace, deadline)
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

// received reads the headers of an answer and tells those who want to know.
func (t *Transport) received(p pass, resp *http.Response, err error) RateLimit {
	if err != nil {
		t.pacer.lose(p)
		return RateLimit{}
	}
	r := ParseRateLimit(resp.Header, time.Now())
	t.pacer.answer(p, r, refused(resp.StatusCode))
	t.mu.Lock()
	t.last = r
	t.mu.Unlock()
	return r
}

// final is what the caller gets: the answer, or the error that he asked for.
func (t *Transport) final(resp *http.Response, err error, last *sighting) (*http.Response, error) {
	if err != nil || !t.ErrorOnLimit || !refused(resp.StatusCode) {
		return resp, err
	}
	if limited := last.refusal(resp); limited != nil {
		drain(resp.Body)
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

// refused says that a status is one with which a limiter refuses.
func refused(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// sleep waits for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
