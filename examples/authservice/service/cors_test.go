package service_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/examples/authservice/service"
)

// What a browser needs before a script may use the service and read its limits.
func TestCrossOrigin(t *testing.T) {
	const app, stranger = "https://app.example.org", "https://stranger.example"
	for _, c := range []struct {
		origins []string
		origin  string
		allowed bool
	}{
		{nil, app, false},
		{[]string{app}, app, true},
		{[]string{app}, stranger, false},
		{[]string{app}, "", false},
		{[]string{"https://other.example", app}, app, true},
		{[]string{"*"}, stranger, true},
		{[]string{app}, app + ".evil.example", false},
	} {
		s := startOne(t, "a", nil, func(x *service.Config) { x.Origins = c.origins; x.Policy.Default[0].Limit.Quota = 1 })
		var from []string
		if c.origin != "" {
			from = []string{"Origin", c.origin}
		}
		preflight := send(t, s, "OPTIONS", "/v1/token", "", append(from, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type")...)
		if c.allowed {
			assert.Equal(t, http.StatusNoContent, preflight.status)
			assert.Equal(t, c.origin, preflight.header.Get("Access-Control-Allow-Origin"))
			assert.Contains(t, preflight.header.Get("Access-Control-Allow-Methods"), "POST")
			assert.Equal(t, "authorization,content-type", preflight.header.Get("Access-Control-Allow-Headers"))
			assert.Empty(t, preflight.header.Get("X-RateLimit-Limit"), "it spends nothing")
		} else {
			assert.Equal(t, http.StatusMethodNotAllowed, preflight.status)
		}
		for _, status := range []int{http.StatusOK, http.StatusTooManyRequests} {
			if !c.allowed {
				continue
			}
			a := send(t, s, "GET", "/v1/agents", "", from...)
			assert.Equal(t, status, a.status)
			assert.Equal(t, c.origin, a.header.Get("Access-Control-Allow-Origin"))
			assert.Contains(t, a.header.Values("Vary"), "Origin")
			for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"} {
				assert.Contains(t, a.header.Get("Access-Control-Expose-Headers"), name)
			}
		}
		if !c.allowed {
			a := send(t, s, "GET", "/v1/agents", "", from...)
			assert.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
		}
	}
}
