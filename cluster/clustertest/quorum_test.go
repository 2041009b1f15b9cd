package clustertest

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// voting makes the first n nodes the voters, and quorum the mode of all limits.
func voting(n int) func(int, *cluster.Config) {
	return func(_ int, cfg *cluster.Config) {
		cfg.Split = limiter.SplitQuorum
		for i := range n {
			cfg.Voters = append(cfg.Voters, name(i))
		}
	}
}

// elect waits until a majority votes.
func elect(t *testing.T, c *Cluster) {
	t.Helper()
	for range 100 {
		if d, err := c.Node(c.Running()[0]).Take(t.Context(), "elected", limiter.Per(1, time.Hour), 0); err == nil && !d.Degraded {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no majority votes")
}

// asked is what some nodes admit of one take each, in turn, and how many answers were
// degraded.
func asked(t *testing.T, c *Cluster, key string, l limiter.Limit, times int, nodes ...int) (admitted, degraded int) {
	t.Helper()
	for k := range times {
		n := c.Node(nodes[k%len(nodes)])
		if n == nil {
			continue
		}
		d, err := n.Take(context.Background(), key, l, 1)
		require.NoError(t, err)
		if d.Allowed {
			admitted++
		}
		if d.Degraded {
			degraded++
			assert.False(t, d.Allowed, "admitted without a majority")
		}
	}
	return admitted, degraded
}

// What the three voters agree on is exact in health, whoever is asked.
func TestQuorumInHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 4, Options{Config: voting(3)})
		elect(t, c)
		for _, k := range keys {
			l := limiter.Per(20, 10*time.Minute)
			admitted, degraded := asked(t, c, k, l, 40, 0, 1, 2, 3)
			assert.Equal(t, 20, admitted, k)
			assert.Zero(t, degraded, k)
		}
	})
}

// Never more than the quota, in any window, also that of the cut, and whoever is cut off.
func TestQuorumIsNeverExceeded(t *testing.T) {
	type fault struct {
		name     string
		do       func(c *Cluster)
		majority []int
	}
	for _, f := range []fault{
		{"3/2", func(c *Cluster) { c.Split([]int{0, 1, 2}, []int{3, 4}) }, []int{0, 1, 2}},
		{"4/1", func(c *Cluster) { c.Split([]int{0, 1, 2, 3}, []int{4}) }, []int{0, 1, 2, 3}},
		{"2/2/1", func(c *Cluster) { c.Split([]int{0, 1}, []int{2, 3}, []int{4}) }, nil},
		{"one way", func(c *Cluster) {
			for _, i := range []int{0, 1, 2} {
				c.Cut(3, i)
				c.Cut(4, i)
			}
		}, []int{0, 1, 2}},
		{"stopped", func(c *Cluster) { c.Pause(4) }, []int{0, 1, 2, 3}},
		{"killed", func(c *Cluster) { c.Kill(4) }, []int{0, 1, 2, 3}},
	} {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(t, 5, Options{Config: voting(5)})
				elect(t, c)
				l := limiter.Per(20, time.Hour)
				sum := map[string]int{}
				for _, k := range keys {
					admitted, degraded := asked(t, c, k, l, 5, 0, 1, 2, 3, 4)
					require.Equal(t, 5, admitted, k)
					require.Zero(t, degraded)
					sum[k] = admitted
				}
				f.do(c)
				at := time.Now()
				for round := range 30 {
					for _, k := range keys {
						for i := range 5 {
							admitted, _ := asked(t, c, k, l, 1, i)
							sum[k] += admitted
							assert.LessOrEqual(t, sum[k], 20, "key %s, %v after the cut", k, time.Since(at))
						}
					}
					if time.Since(at) > 2500*time.Millisecond && round > 1 {
						for i := range 5 {
							if f.majority != nil && i > f.majority[len(f.majority)-1] && f.name != "stopped" {
								_, degraded := asked(t, c, keys[i], l, 1, i)
								if c.Node(i) != nil {
									assert.Equal(t, 1, degraded, "node %d does not say that it knows nothing, %v after the cut", i, time.Since(at))
								}
							}
						}
					}
					time.Sleep(200 * time.Millisecond)
				}
				for _, k := range keys {
					if f.majority != nil {
						fresh, degraded := asked(t, c, "fresh "+k, l, 40, f.majority...)
						assert.Equal(t, 20, fresh, "key %s", k)
						assert.Zero(t, degraded)
						assert.GreaterOrEqual(t, sum[k], 20, "key %s: the majority does not admit what is left", k)
					}
				}
				if f.name == "stopped" {
					c.Resume(4)
				} else if f.name == "killed" {
					c.Restart(4)
				}
				c.Heal()
				c.Settle()
				time.Sleep(5 * time.Second)
				for _, k := range keys {
					admitted, _ := asked(t, c, k, l, 50, 0, 1, 2, 3, 4)
					sum[k] += admitted
					assert.LessOrEqual(t, sum[k], 20, "key %s, in all", k)
				}
				for i := range 5 {
					_, degraded := asked(t, c, fmt.Sprint("healed ", i), l, 5, i)
					assert.Zero(t, degraded)
				}
			})
		})
	}
}

// A voter that starts anew has forgotten what it acknowledged. If it voted at once, it and
// one that knows nothing would be a majority for what is spent already.
func TestVoterForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{Config: voting(3)})
		elect(t, c)
		l := limiter.Per(20, 240*time.Hour) // no window ends meanwhile
		c.Split([]int{0, 1}, []int{2})      // 2 knows nothing of what is spent
		time.Sleep(20 * time.Second)
		for _, k := range keys {
			admitted, _ := asked(t, c, k, l, 30, 0, 1)
			require.Equal(t, 20, admitted, k)
		}
		c.Kill(1)
		c.Split([]int{0}, []int{1, 2}) // 0 knows, and cannot be asked
		c.Restart(1)
		c.Settle(1, 2)
		time.Sleep(time.Minute)
		for _, k := range keys {
			admitted, degraded := asked(t, c, k, l, 4, 1, 2)
			assert.Zero(t, admitted, k)
			assert.Equal(t, 4, degraded, k)
		}
		assert.False(t, c.Node(1).Stats().Votes)
		c.Heal()
		c.Settle()
		time.Sleep(2 * time.Second)
		assert.True(t, c.Node(1).Stats().Votes)
		for _, k := range keys {
			admitted, degraded := asked(t, c, k, l, 6, 0, 1, 2)
			assert.Zero(t, admitted, k)
			assert.Zero(t, degraded, k)
		}
	})
}

// Nodes whose lists of voters differ by one name agree, and those whose differ by two do
// not: neither of the two that have the longer list is let vote by one with the shorter.
func TestVotersChange(t *testing.T) {
	for longer, agree := range map[int]bool{4: true, 5: false} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 5, Options{Config: func(i int, cfg *cluster.Config) {
				if voting(3)(i, cfg); i >= 3 {
					cfg.Voters = nil
					voting(longer)(i, cfg)
				}
			}})
			elect(t, c)
			time.Sleep(5 * time.Second)
			sum, degraded := 0, 0
			for _, k := range keys {
				a, d := asked(t, c, k, limiter.Per(20, time.Hour), 60, 0, 1, 2, 3, 4)
				require.LessOrEqual(t, a, 20, k)
				sum, degraded = sum+a, degraded+d
			}
			require.Equal(t, agree, degraded == 0, "lists of 3 and of %d: %d degraded", longer, degraded)
			if agree {
				require.Equal(t, 20*len(keys), sum)
			}
			require.Equal(t, 2, c.Node(0).Stats().VoterLists)
		})
	}
}

// Who decided before a split, and hears of a majority again for one partition, knows nothing
// of what it decided for another meanwhile.
func TestQuorumIsAskedForEachPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 5, Options{Config: voting(5)})
		elect(t, c)
		l := limiter.Per(1000, 30*24*time.Hour)
		var held []string // by node 4
		for i := 0; len(held) < 2; i++ {
			if k := fmt.Sprint("key ", i); holderOf(5, 0, k, l) == 4 {
				held = append(held, k)
			}
		}
		look := func(i int, key string) limiter.Decision {
			d, err := c.Node(i).Take(t.Context(), key, l, 0)
			require.NoError(t, err)
			return d
		}
		for _, k := range held {
			_, degraded := asked(t, c, k, l, 5, 4)
			require.Zero(t, degraded)
		}
		c.Split([]int{0, 1, 2}, []int{3, 4})
		time.Sleep(20 * time.Second)
		admitted, _ := asked(t, c, held[0], l, 30, 0, 1, 2)
		require.Equal(t, 30, admitted)
		require.True(t, look(4, held[0]).Degraded)
		c.Heal()
		for start := time.Now(); look(4, held[1]).Degraded; time.Sleep(time.Millisecond) {
			require.Less(t, time.Since(start), time.Minute)
		}
		if d := look(4, held[0]); !d.Degraded {
			require.Equal(t, int64(1000-5-30), d.Remaining)
		}
	})
}

// In peace nobody's first take is degraded either, for which the partition is claimed: over
// long wires, whose length varies.
func TestQuorumOverLongWires(t *testing.T) {
	for _, oneWay := range []time.Duration{10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
		t.Run(oneWay.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := New(t, 5, Options{Config: voting(5),
					Network: simnet.Options{Seed: 1, Latency: oneWay, Jitter: oneWay, KeepAlive: 2 * time.Second}})
				elect(t, c)
				time.Sleep(10 * time.Second)
				l := limiter.Per(1000, time.Hour)
				for k := range 60 {
					key := fmt.Sprint("key ", k)
					_, degraded := asked(t, c, key, l, 1, k%5)
					assert.Zero(t, degraded, key)
				}
			})
		})
	}
}
