package client

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// once sends one request that is not repeated and wants its error typed.
func once(t *testing.T, status int, body string, pairs ...string) (*http.Response, error) {
	t.Helper()
	c := New(&Transport{Base: new(script).then(status, body, pairs...), ErrorOnLimit: true, Retry: Retry{Attempts: 1}})
	return c.Do(request(t, t.Context(), "POST", "grant"))
}

func TestErrorOf429(t *testing.T) {
	_, err := once(t, 429, `{"message":"Rate limit exceeded, retry in 42 seconds","code":"RATE_LIMIT_EXCEEDED","requestId":"a1b2"}`,
		"Content-Type", "application/json", "X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "42", "Retry-After", "42")
	limited, ok := errors.AsType[*RateLimitError](err)
	require.True(t, ok, "%v", err)
	_, wrapped := errors.AsType[*url.Error](err)
	assert.True(t, wrapped, "http.Client wraps it")

	assert.Equal(t, "limit=20 remaining=0 reset=42s retry-after=42s", limited.RateLimit.String())
	assert.Equal(t, 429, limited.StatusCode)
	assert.Equal(t, 1, limited.Attempts)
	assert.Equal(t, CodeExceeded, limited.Code)
	assert.Equal(t, "a1b2", limited.RequestID)
	assert.Equal(t, "Rate limit exceeded, retry in 42 seconds", limited.Message)
	assert.Equal(t, `client: 429 Too Many Requests: "Rate limit exceeded, retry in 42 seconds", code "RATE_LIMIT_EXCEEDED", request "a1b2", `+
		`attempts 1, limit=20 remaining=0 reset=42s retry-after=42s`, limited.Error())
}

func TestErrorBodies(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, body string
		code, id, message       string
	}{
		{"contract", "application/json; charset=utf-8", `{"message":"m","code":"c","requestId":"r"}`, "c", "r", "m"},
		{"problem, detail", "application/problem+json", `{"type":"x#quota-exceeded","title":"t","detail":"d"}`, "", "header", "d"},
		{"problem, title", "application/problem+json", `{"title":"t"}`, "", "header", "t"},
		{"numeric code", "application/json", `{"code":88,"message":"m"}`, "", "header", "m"},
		{"nested, as Stripe's", "application/json", `{"error":{"code":"rate_limit"}}`, "", "header", ""},
		{"array", "application/json", `[1]`, "", "header", ""},
		{"cut short", "application/json", `{"message":"m"`, "", "header", ""},
		{"empty", "application/json", ``, "", "header", ""},
		{"no JSON", "text/html", `{"message":"m"}`, "", "header", ""},
		{"no type", "", `{"message":"m"}`, "", "header", ""},
		{"bad type", ";;", `{"message":"m"}`, "", "header", ""},
		{"long", "application/json", `{"message":"` + strings.Repeat("é", 600) + `"}`, "", "header", strings.Repeat("é", 256)},
		{"overlong", "application/json", `{"message":"m","x":"` + strings.Repeat("x", bodyMax) + `"}`, "", "header", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := once(t, 429, tc.body, "Content-Type", tc.contentType, "X-Request-Id", "header")
			limited, ok := errors.AsType[*RateLimitError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, [3]string{tc.code, tc.id, tc.message}, [3]string{limited.Code, limited.RequestID, limited.Message})
		})
	}
}

func TestErrorTextIsOneLine(t *testing.T) {
	_, err := once(t, 429, `{"message":"a\nlevel=error msg=forged\u001b[2J"}`, "Content-Type", "application/json")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "\n")
	assert.NotContains(t, err.Error(), "\x1b")
}

func TestErrorOf503(t *testing.T) {
	_, err := once(t, 503, unavailable, "Content-Type", "application/json", "Retry-After", "1")
	limited, ok := errors.AsType[*RateLimitError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, 503, limited.StatusCode)
	assert.Equal(t, CodeUnavailable, limited.Code)
	assert.Equal(t, time.Second, limited.RetryAfter)
	assert.False(t, limited.RemainingKnown)

	_, err = once(t, 503, `{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"}`, "Content-Type", "application/problem+json")
	_, ok = errors.AsType[*RateLimitError](err)
	assert.True(t, ok, "%v", err)

	const other = `{"code":"DB_DOWN"}`
	resp, err := once(t, 503, other, "Content-Type", "application/json", "Retry-After", "1")
	require.NoError(t, err, "not the limiter's")
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, other, string(body))
}

func TestNoErrorUnasked(t *testing.T) {
	c := New(&Transport{Base: new(script).then(429, "slow down"), Retry: Retry{Attempts: 1}})
	resp, err := c.Do(request(t, t.Context(), "GET", ""))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "slow down", string(body))
}

func TestErrorCountsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{Base: new(script).then(429, "").then(429, "").then(429, "", "Retry-After", "9"), ErrorOnLimit: true, Retry: Retry{Attempts: 3}}
		_, err := tr.RoundTrip(request(t, t.Context(), "GET", ""))
		limited, ok := errors.AsType[*RateLimitError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, 3, limited.Attempts)
		assert.Equal(t, 9*time.Second, limited.RetryAfter)
	})
}
