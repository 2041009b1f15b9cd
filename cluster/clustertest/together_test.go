package clustertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// Nodes that start at the same moment each take another newcomer for who held what they
// are to hold. None of them may begin to decide before who really held it has handed over.
func TestStartTogetherForgetsNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3, 5} {
		for _, latency := range []time.Duration{200 * time.Microsecond, 5 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d over %v", n, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := New(t, 1+n, Options{Network: simnet.Options{Latency: latency, KeepAlive: 2 * time.Second}})
					l := limiter.Per(10, 24*time.Hour)
					spendAll(t, c, l, 10, 10)
					var others []int
					for i := 1; i <= n; i++ {
						others = append(others, i)
						assert.NoError(t, c.Leave(i))
					}
					c.Settle()
					time.Sleep(5 * time.Second)
					c.startTogether(others...)
					for range 10 {
						for _, k := range keys {
							assert.Zero(t, spend(t, c, k, l, 2*(1+n)), "key %s of node %d", k, ownerOf(1+n, k, l))
						}
						time.Sleep(20 * time.Millisecond)
					}
					c.Settle()
					spendAll(t, c, l, 20, 0)
				})
			})
		}
	}
}

// startTogether starts nodes that do not run, at the same moment.
func (c *Cluster) startTogether(nodes ...int) {
	c.t.Helper()
	var started sync.WaitGroup
	errs := make([]error, len(nodes))
	for _, i := range nodes {
		c.hosts[i] = c.hosts[i].Restart()
	}
	for k, i := range nodes {
		started.Go(func() { c.nodes[i], errs[k] = c.begin(i) })
	}
	started.Wait()
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal("clustertest:", err)
	}
}
