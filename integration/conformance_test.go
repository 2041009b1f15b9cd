package integration

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/middlewaretest"
)

// The HTTP contract, row by row, is the same over a limiter in the process, over one node,
// and over three nodes that share their budgets.
func TestContract(t *testing.T) {
	if testing.Short() {
		t.Skip("some rows wait for their window")
	}
	local := limiter.NewLocal(limiter.Config{})
	one := startNode(t, cluster.Config{Name: "one"})
	awaitWhole(t, one)
	three := startCluster(t, 3)

	var rows atomic.Int64
	over := func(limiters ...middleware.Limiter) func(*testing.T) []middleware.Limiter {
		return func(*testing.T) []middleware.Limiter {
			row := fmt.Sprint(rows.Add(1))
			scoped := make([]middleware.Limiter, len(limiters))
			for i, l := range limiters {
				scoped[i] = scope{l, row}
			}
			return scoped
		}
	}
	middlewaretest.Contract(t, "local", over(local))
	middlewaretest.Contract(t, "one node", over(one))
	middlewaretest.Contract(t, "three nodes", over(three[0], three[1], three[2]))
}

// startCluster starts n nodes in this process.
func startCluster(t *testing.T, n int) (nodes []*cluster.Node) {
	t.Helper()
	for i := range n {
		c := cluster.Config{Name: fmt.Sprintf("node%d", i+1), Secret: []byte(secret)}
		if i > 0 {
			c.Join = []string{nodes[0].Addr()}
		}
		nodes = append(nodes, startNode(t, c))
	}
	awaitWhole(t, nodes...)
	return nodes
}

// scope gives each row of the contract budgets of its own, so that one cluster serves all
// rows.
type scope struct {
	middleware.Limiter
	row string
}

// Take takes from the row's budget of a key.
func (s scope) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	return s.Limiter.Take(ctx, limiter.Key(s.row, key), l, cost)
}

// Give gives back to it.
func (s scope) Give(ctx context.Context, key string, l limiter.Limit, cost int64) error {
	return s.Limiter.Give(ctx, limiter.Key(s.row, key), l, cost)
}
