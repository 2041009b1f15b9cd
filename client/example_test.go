package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/weir-go/weir/client"
)

// tokens starts a service that lets n requests pass and denies the others.
func tokens(n int) *httptest.Server { return tokensAfter(n, 42) }

// tokensAfter is tokens with another Retry-After.
func tokensAfter(n, seconds int) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("X-RateLimit-Limit", "20")
		h.Set("X-RateLimit-Remaining", fmt.Sprint(max(n-1, 0)))
		h.Set("X-RateLimit-Reset", "42")
		if n--; n >= 0 {
			return
		}
		h.Set("Retry-After", fmt.Sprint(seconds))
		h.Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"message":"Rate limit exceeded, retry in 42 seconds","code":"RATE_LIMIT_EXCEEDED","requestId":"a1b2"}`)
	}))
}

// A client shows what the last answer said of the budget.
func ExampleClient_LastRateLimit() {
	srv := tokens(20)
	defer srv.Close()

	c := client.New(nil)
	resp, err := c.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()

	last := c.LastRateLimit()
	if last.RemainingKnown {
		fmt.Println(last.Remaining, "left")
	}
	fmt.Println(last)
	// Output:
	// 19 left
	// limit=20 remaining=19 reset=42s retry-after=unknown
}

// A final refusal becomes an error with all that the answer said.
func ExampleRateLimitError() {
	srv := tokens(0)
	defer srv.Close()

	c := client.New(&client.Transport{ErrorOnLimit: true, Retry: client.Retry{Attempts: 1}})
	_, err := c.Get(srv.URL)
	if limited, ok := errors.AsType[*client.RateLimitError](err); ok {
		fmt.Println(limited.StatusCode, limited.Code, limited.RequestID)
		fmt.Println("try again in", limited.RetryAfter)
	}
	// Output:
	// 429 RATE_LIMIT_EXCEEDED a1b2
	// try again in 42s
}

// A transport goes into any http.Client. This one does not send what would be
// denied: the third request never leaves.
func ExampleTransport() {
	srv := tokens(2)
	defer srv.Close()

	c := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &client.Transport{Pace: client.PaceFail},
	}
	for range 3 {
		resp, err := c.Get(srv.URL)
		if limited, ok := errors.AsType[*client.RateLimitError](err); ok {
			fmt.Println("held back, attempts:", limited.Attempts)
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 200 OK
	// 200 OK
	// held back, attempts: 0
}

// The headers of an answer can be read without the transport.
func ExampleParseRateLimit() {
	h := http.Header{}
	h.Set("RateLimit-Policy", `"burst";q=10;w=1, "daily";q=5000;w=86400`)
	h.Set("RateLimit", `"burst";r=9;t=1, "daily";r=3;t=3600`)
	r := client.ParseRateLimit(h, time.Now())
	fmt.Println(r.Policy, r)

	fmt.Println(client.ParseRateLimit(http.Header{"X-Ratelimit-Remaining": {"many"}}, time.Now()))
	// Output:
	// daily limit=5000 remaining=3 reset=1h0m0s retry-after=unknown
	// limit=unknown remaining=unknown reset=unknown retry-after=unknown
}
