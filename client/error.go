package client

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// RateLimitError is a request that a rate limit refused: finally, by 429, by the
// limiter's 503 or by choice by 403 (see [Transport].ErrorOnLimit and Limit403), or
// before it was sent, by the pacing.
type RateLimitError struct {
	// RateLimit is what the refusal's headers say. Of a request that pacing held
	// back, RetryAfter is the wait that the transport would have needed.
	RateLimit
	// StatusCode is the last answer's: 429, 503 or 403. 0 means that there was none, as
	// pacing held the request back before its first attempt.
	StatusCode int
	// Attempts is how often the request was sent.
	Attempts int
	// Code, RequestID and Message are from the answer's body: the contract's JSON
	// or application/problem+json. Empty if the body is something else. RequestID
	// is X-Request-Id if the body has none.
	Code, RequestID, Message string
}

// Error says what happened on one line; texts from the server are quoted.
func (e *RateLimitError) Error() string {
	var b strings.Builder
	if e.StatusCode == 0 {
		fmt.Fprintf(&b, "client: held back for %v by pacing, not sent", e.RetryAfter)
		return b.String()
	}
	fmt.Fprintf(&b, "client: %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if e.Message != "" {
		fmt.Fprintf(&b, ": %q", e.Message)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ", code %q", e.Code)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, ", request %q", e.RequestID)
	}
	fmt.Fprintf(&b, ", attempts %d, %v", e.Attempts, e.RateLimit)
	return b.String()
}

// typeReduced ends the problem type that the IETF draft gives to a 503 for lack of
// capacity, whatever registry the URI names before it.
const typeReduced = "#temporary-reduced-capacity"

// refusal makes the error of a final 429 or 503, or nil for a 503 that does not come
// from a limiter. The answer's body can still be read after it.
func (s *sighting) refusal(resp *http.Response) *RateLimitError {
	body := peek(resp, bodyTimeMax)
	limiter := body.Code == CodeUnavailable || strings.HasSuffix(body.Type, typeReduced)
	if resp.StatusCode == http.StatusServiceUnavailable && !limiter {
		return nil
	}
	e := &RateLimitError{RateLimit: s.RateLimit, StatusCode: s.status, Attempts: s.attempts,
		Code: body.Code, RequestID: body.RequestID, Message: body.Message}
	if e.Message == "" {
		e.Message = body.Detail
	}
	if e.Message == "" {
		e.Message = body.Title
	}
	if e.RequestID == "" {
		e.RequestID = clip(resp.Header.Get("X-Request-Id"))
	}
	return e
}

// heldBack makes the error of a request that pacing does not let out in time.
func (s *sighting) heldBack(wait time.Duration) *RateLimitError {
	e := &RateLimitError{RateLimit: s.RateLimit, StatusCode: s.status, Attempts: s.attempts}
	e.RetryAfter, e.RetryAfterKnown = wait, true
	return e
}
