package clustertest

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
)

// probe asks a node's handler.
func probe(t *testing.T, n *cluster.Node, path string) (status int, c cluster.Condition) {
	t.Helper()
	w := httptest.NewRecorder()
	n.Health().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	require.NoError(t, json.NewDecoder(w.Body).Decode(&c))
	require.NotNil(t, c.Reasons)
	return w.Code, c
}

// A node says of itself whether requests should come, and what is not as it should be: a node that
// is missing elsewhere is a reason, and none to send no requests.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		n := c.Node(0)
		require.NoError(t, n.WaitReady(t.Context()))
		status, got := probe(t, n, "/health")
		assert.Equal(t, 200, status)
		assert.Equal(t, cluster.Condition{Ready: true, Reasons: []string{}}, got)

		c.Kill(2)
		time.Sleep(20 * time.Second)
		status, got = probe(t, n, "/health")
		assert.Equal(t, 200, status)
		assert.Equal(t, []string{"2 of 3 known nodes are seen"}, got.Reasons)

		done := make(chan error, 1)
		go func() { done <- n.Leave(t.Context()) }()
		synctest.Wait()
		status, got = probe(t, n, "/health")
		assert.Equal(t, 503, status)
		assert.False(t, got.Ready)
		assert.Contains(t, strings.Join(got.Reasons, "; "), "the node is leaving")
		status, _ = probe(t, n, "/health/live")
		assert.Equal(t, 200, status)
		require.NoError(t, <-done)
		status, got = probe(t, n, "/health/live")
		assert.Equal(t, 503, status)
		assert.Contains(t, got.Reasons, "the node is closed")
		assert.ErrorIs(t, n.WaitReady(t.Context()), cluster.ErrClosed)
	})
}

// Who waits for a node that is not ready waits as long as it is told.
func TestWaitReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 2, Options{})
		c.Kill(1)
		n := c.Node(0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.NoError(t, n.WaitReady(ctx), "it is ready")
		n.Close()
		assert.ErrorIs(t, n.WaitReady(ctx), cluster.ErrClosed)
	})
}
