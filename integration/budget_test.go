package integration

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Three processes, 64 concurrent callers of one address spread over all three: each budget
// holds exactly, over all nodes together.
func TestOneBudgetOverThreeProcesses(t *testing.T) {
	nodes := startAll(t, 3, spec{CallTimeout: calm})
	for _, c := range []struct {
		route    string
		requests int
		limit    int
	}{
		{"POST /v1/authorize", 300, 10},
		{"POST /v1/token", 300, 20},
		{"POST /v1/token/refresh", 300, 20},
		{"GET /v1/agents", 600, 100},
	} {
		client := settled(t, nodes[0], c.route) // this sends the first
		got := client.spend(c.route, c.requests-1, nodes...)
		assert.Zero(t, got.failed, "%s: %v", c.route, got.failures)
		assert.Equal(t, c.limit, got.admitted+1, "%s: admitted by all nodes of %d", c.route, c.requests)
		assert.Equal(t, c.requests-c.limit, got.refused, c.route)
		assert.Equal(t, c.requests-1, got.marked, "%s: every answer carries the headers", c.route)

		for i, n := range nodes {
			r := client.must(n, c.route)
			assert.Equal(t, http.StatusTooManyRequests, r.status, "%s: node %d knows as well", c.route, i+1)
			assert.Equal(t, "0", r.header.Get("X-RateLimit-Remaining"), c.route)
			wait, err := strconv.Atoi(r.header.Get("Retry-After"))
			assert.NoError(t, err)
			assert.True(t, 1 <= wait && wait <= 60, "%s: Retry-After %d", c.route, wait)
		}
		second := newClient(t)
		r := second.must(nodes[1], c.route)
		assert.NotEqual(t, http.StatusTooManyRequests, r.status, "%s: a second address has its own budget", c.route)
		assert.Equal(t, strconv.Itoa(c.limit-1), r.header.Get("X-RateLimit-Remaining"), c.route)
	}
	for _, exempt := range []string{"GET /.well-known/jwks.json", "GET /health"} {
		got := newClient(t).spend(exempt, 300, nodes...)
		assert.Equal(t, 300, got.admitted, "%s is never limited: %v", exempt, got.failures)
		assert.Zero(t, got.marked, "%s carries no rate-limit header", exempt)
	}
}

// All routes without a limit of their own share the default; the others do not touch it.
func TestDefaultIsOneBudget(t *testing.T) {
	nodes := startAll(t, 2, spec{CallTimeout: calm})
	c := settled(t, nodes[0], "GET /v1/agents")
	for i := range 5 {
		c.must(nodes[i%2], "POST /v1/tokens/verify")
		c.must(nodes[i%2], "GET /nowhere")
		c.must(nodes[i%2], "POST /v1/token")
	}
	assert.Equal(t, "88", c.must(nodes[1], "GET /v1/agents").header.Get("X-RateLimit-Remaining"))
}

// A window later the budget is back, whole and on every node.
func TestBudgetComesBack(t *testing.T) {
	nodes := startAll(t, 3, spec{CallTimeout: calm, Window: 2 * time.Second})
	c := newClient(t)
	const route = "POST /v1/authorize"
	for range 3 { // windows in a row
		var r httpReply
		eventually(t, func() bool {
			r = c.must(nodes[0], route)
			return r.status == http.StatusTooManyRequests
		}, "the budget is never used up")
		wait, err := strconv.Atoi(r.header.Get("Retry-After"))
		require.NoError(t, err)
		assert.LessOrEqual(t, wait, 2)
		eventually(t, func() bool {
			r = c.must(nodes[1], route)
			return r.status != http.StatusTooManyRequests
		}, "the budget does not come back")
		assert.Equal(t, "9", r.header.Get("X-RateLimit-Remaining"), "all of it")
	}
}
