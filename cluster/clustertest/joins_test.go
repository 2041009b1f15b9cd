package clustertest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// Two nodes join one right after the other, over slow wires and under traffic: nobody
// decides who does not know what was spent.
func TestTwoJoinsForgetNothing(t *testing.T) {
	for range 8 {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 2, Options{Network: simnet.Options{Latency: 5 * time.Millisecond}})
			l := limiter.Per(1, 24*time.Hour)
			const many = 100
			for k := range many {
				require.Equal(t, 1, spend(t, c, fmt.Sprint(k), l, 1))
			}
			time.Sleep(300 * time.Millisecond)
			traffic := func(node int) {
				n := c.Node(node) // not later: the cluster grows meanwhile
				for k := range many {
					go func() {
						for range 10 {
							d, err := n.Take(t.Context(), fmt.Sprint(k), l, 1)
							if err != nil || d.Allowed {
								t.Errorf("key %d of node %d, asked at node %d: %+v %v", k, ownerOf(4, fmt.Sprint(k), l), node, d, err)
							}
							time.Sleep(9 * time.Millisecond)
						}
					}()
				}
			}
			traffic(0)
			traffic(c.Add())
			traffic(c.Add())
			time.Sleep(10 * time.Second)
		})
	}
}

// A holder dies while a node joins that is to take over from it. What that one decides
// before it has been told what was spent is no more than its share, and says so.
func TestHolderDiesWhileANodeJoins(t *testing.T) {
	for _, after := range []time.Duration{0, 500 * time.Microsecond, 2 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			l := limiter.Per(10, 24*time.Hour)
			const many = 100
			for k := range many {
				require.Equal(t, 10, spend(t, c, fmt.Sprint(k), l, 10))
			}
			time.Sleep(200 * time.Millisecond) // a flush
			joiner := c.Add()
			time.Sleep(after)
			c.Kill(1)
			for round := range 3 {
				for k := range many {
					sum := 0
					for range 10 {
						d, err := c.Node(joiner).Take(t.Context(), fmt.Sprint(k), l, 1)
						require.NoError(t, err)
						if d.Allowed {
							require.True(t, d.Degraded, "key %d, killed %v after the join, round %d: %+v", k, after, round, d)
							sum++
						}
					}
					require.LessOrEqual(t, sum, 10/4, "key %d, killed %v after the join, round %d", k, after, round)
				}
				time.Sleep(3 * time.Second)
			}
			c.Settle()
			for k := range many {
				require.Zero(t, spend(t, c, fmt.Sprint(k), l, 10))
			}
		})
	}
}

// A node joins while the crash of another one is not noticed yet. What it is to take over
// from that one it does not know; whoever had the copies before decides meanwhile.
func TestJoinWhileACrashIsNotNoticed(t *testing.T) {
	for crashed := range 3 {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			l := limiter.Per(10, 24*time.Hour)
			const many = 60
			for k := range many {
				require.Equal(t, 10, spend(t, c, fmt.Sprint(k), l, 10))
			}
			time.Sleep(200 * time.Millisecond) // a flush
			c.Crash(crashed)
			joiner := c.Add()
			for round := range 4 {
				for k := range many {
					owner := ownerOf(4, fmt.Sprint(k), l)
					for _, i := range c.Running() {
						d, err := c.Node(i).Take(t.Context(), fmt.Sprint(k), l, 1)
						require.NoError(t, err)
						require.False(t, d.Allowed, "node %d crashed, %d joined, key %d of node %d asked at %d, round %d: %+v", crashed, joiner, k, owner, i, round, d)
						if owner == joiner {
							require.False(t, d.Degraded, "node %d crashed, %d joined, key %d asked at %d, round %d", crashed, joiner, k, i, round)
						}
					}
				}
				time.Sleep(300 * time.Millisecond)
			}
			c.Settle()
		})
	}
}

// A dead machine among the seeds does not hold up a node that starts: the others take it
// for a member as soon as one of them has heard of it.
func TestStartBesideADeadSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		for crashed := range 2 {
			c.Crash(crashed)
			begin := time.Now()
			joiner := c.Add()
			require.Less(t, time.Since(begin), 200*time.Millisecond)
			d, err := c.Node(joiner).Take(t.Context(), "key", limiter.Per(10, time.Hour), 1)
			require.NoError(t, err)
			require.True(t, d.Allowed)
			time.Sleep(10 * time.Second)
		}
	})
}
