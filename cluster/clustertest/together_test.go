package clustertest

import (
	"fmt"
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
	for _, n := range []int{2, 3, 5} {
		for _, latency := range []time.Duration{200 * time.Microsecond, 5 * time.Millisecond, 100 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d over %v", n, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &schedule{nodes: 1 + n, replicas: 1, latency: latency}
					c := clusterLab{s: s, Cluster: New(t, s.nodes, Options{Network: simnet.Options{Latency: latency, KeepAlive: 2 * time.Second}})}
					l := limiter.Per(10, 24*time.Hour)
					spendAll(t, c.Cluster, l, 10, 10)
					var others []int
					for i := 1; i <= n; i++ {
						others = append(others, i)
						assert.NoError(t, c.Leave(i))
					}
					c.Settle()
					time.Sleep(5 * time.Second)
					c.together(others...)
					for range 10 {
						for _, k := range keys {
							assert.Zero(t, spend(t, c.Cluster, k, l, 2*(1+n)), "key %s of node %d", k, ownerOf(1+n, k, l))
						}
						time.Sleep(20 * time.Millisecond)
					}
					c.Settle()
					spendAll(t, c.Cluster, l, 20, 0)
				})
			})
		}
	}
}
