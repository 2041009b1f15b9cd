package client

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
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
