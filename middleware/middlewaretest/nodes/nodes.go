// Package nodes has the limiters that adapters are tried over: one of a process, and a cluster
// of three nodes on loopback.
package nodes

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// Local gives each caller the limiter of a process of its own.
func Local(*testing.T) []middleware.Limiter {
	return []middleware.Limiter{limiter.NewLocal(limiter.Config{})}
}

// Three starts a cluster of three nodes, which ends with the test. What it returns gives each
// caller budgets of its own on them.
func Three(t *testing.T) func(*testing.T) []middleware.Limiter {
	t.Helper()
	var nodes []*cluster.Node
	for i := range 3 {
		c := cluster.Config{
			Name: fmt.Sprintf("node%d", i+1), Secret: []byte("a secret of thirty-two characters"),
			Logger: slog.New(slog.DiscardHandler), CallTimeout: 2 * time.Second, // a machine may be busy
		}
		if i > 0 {
			c.Join = []string{nodes[0].Addr()}
		}
		n, err := cluster.Start(t.Context(), c)
		require.NoError(t, err)
		t.Cleanup(n.Close)
		nodes = append(nodes, n)
	}
	require.Eventually(t, func() bool { return whole(nodes) }, time.Minute, 20*time.Millisecond, "the nodes do not hold together")
	var scopes atomic.Int64
	return func(*testing.T) []middleware.Limiter {
		scope := fmt.Sprint(scopes.Add(1))
		all := make([]middleware.Limiter, len(nodes))
		for i, n := range nodes {
			all[i] = scoped{n, scope}
		}
		return all
	}
}

// whole reports whether the nodes see each other and decide for everything.
func whole(nodes []*cluster.Node) bool {
	holding := 0
	for _, n := range nodes {
		s := n.Stats()
		holding += s.Holding
		if !n.Ready() || s.Pending > 0 || s.Live != len(nodes) {
			return false
		}
	}
	return holding == cluster.Partitions
}

// scoped is a node on which one test has budgets of its own.
type scoped struct {
	node  *cluster.Node
	scope string
}

func (s scoped) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	return s.node.Take(ctx, limiter.Key(s.scope, key), l, cost)
}

func (s scoped) Give(ctx context.Context, key string, l limiter.Limit, cost int64) error {
	return s.node.Give(ctx, limiter.Key(s.scope, key), l, cost)
}

func (s scoped) Hold(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	return s.node.Hold(ctx, limiter.Key(s.scope, key), l, cost)
}

func (s scoped) Keep(key string, l limiter.Limit, cost int64, w limiter.Window) {
	s.node.Keep(limiter.Key(s.scope, key), l, cost, w)
}

func (s scoped) Refund(ctx context.Context, key string, l limiter.Limit, cost int64, w limiter.Window) error {
	return s.node.Refund(ctx, limiter.Key(s.scope, key), l, cost, w)
}
