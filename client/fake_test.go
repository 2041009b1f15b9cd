package client

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// roundTrip makes a function a RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// respond makes an answer.
func respond(status int, body string, pairs ...string) *http.Response {
	return &http.Response{StatusCode: status, Header: header(pairs...), Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// script answers with one response after the other, the last one for ever, and
// keeps when it was asked and with what body.
type script struct {
	mu      sync.Mutex // guards all below
	answers []func() (*http.Response, error)
	times   []time.Time
	bodies  []string
}

func (s *script) then(status int, body string, pairs ...string) *script {
	s.answers = append(s.answers, func() (*http.Response, error) { return respond(status, body, pairs...), nil })
	return s
}

func (s *script) fail(err error) *script {
	s.answers = append(s.answers, func() (*http.Response, error) { return nil, err })
	return s
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, time.Now())
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		req.Body.Close()
		s.bodies = append(s.bodies, string(b))
	}
	n := min(len(s.times), len(s.answers)) - 1
	return s.answers[n]()
}

// window is a server with a fixed window that follows the contract, each answer
// taking its latency there and back.
type window struct {
	quota   int64
	period  time.Duration
	latency func(n int) time.Duration // of the nth request, each way

	mu       sync.Mutex // guards all below
	start    time.Time
	used     int64
	asked    int
	admitted []time.Time
	denied   int
}

func (w *window) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	n := w.asked
	w.asked++
	w.mu.Unlock()
	if w.latency != nil {
		time.Sleep(w.latency(n))
		defer time.Sleep(w.latency(n + 1))
	}
	if req.URL.Path == "/exempt" {
		return respond(200, ""), nil
	}
	return w.decide(time.Now()), nil
}

func (w *window) decide(now time.Time) *http.Response {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.start) >= w.period {
		w.start, w.used = now.Truncate(w.period), 0
	}
	ok := w.used < w.quota
	if ok {
		w.used++
		w.admitted = append(w.admitted, now)
	} else {
		w.denied++
	}
	end := w.start.Add(w.period)
	pairs := []string{
		"X-RateLimit-Limit", strconv.FormatInt(w.quota, 10),
		"X-RateLimit-Remaining", strconv.FormatInt(w.quota-w.used, 10),
		"X-RateLimit-Reset", strconv.FormatInt(end.Add(time.Second-1).Unix(), 10),
	}
	if ok {
		return respond(200, "", pairs...)
	}
	wait := int64(max(1, (end.Sub(now)+time.Second-1)/time.Second))
	pairs = append(pairs, "Retry-After", strconv.FormatInt(wait, 10), "Content-Type", "application/json")
	return respond(429, fmt.Sprintf(`{"message":"Rate limit exceeded, retry in %d seconds","code":"RATE_LIMIT_EXCEEDED","requestId":"r-%d"}`, wait, w.asked), pairs...)
}

// t0 is when the canned answers arrive; 1764000000 is their Unix time.
var t0 = time.Unix(1764000000, 0).UTC()

// header makes a header of alternating names and values.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// brief is limit, remaining and reset with ? for what is unknown.
func brief(r RateLimit) string {
	s := [3]string{"?", "?", "?"}
	for i, v := range []struct {
		known bool
		n     int64
	}{{r.LimitKnown, r.Limit}, {r.RemainingKnown, r.Remaining}} {
		if v.known {
			s[i] = strconv.FormatInt(v.n, 10)
		}
	}
	if r.ResetKnown {
		s[2] = r.ResetAfter.String()
	}
	return s[0] + " " + s[1] + " " + s[2]
}
