package clustertest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// Wires that are long, and what follows from how long a peer takes to answer.

// A handshake that takes longer than what is left of a call's time must not end with the
// call, or each try would end the connection that the last one made.
func TestReachableAgain(t *testing.T) {
	for _, c := range []struct {
		secret string
		rtt    time.Duration
	}{{"", 26}, {"", 30}, {"", 33}, {"0123456789abcdef", 17}, {"0123456789abcdef", 18}, {"0123456789abcdef", 19}} {
		for try := range 4 {
			synctest.Test(t, func(t *testing.T) {
				w := New(t, 3, Options{Network: simnet.Options{Latency: c.rtt * time.Millisecond / 2, KeepAlive: time.Second},
					Config: func(_ int, cfg *cluster.Config) { cfg.Secret = []byte(c.secret) }})
				w.Cut(0, 1)
				w.Cut(1, 0)
				for i := range 30 {
					w.Node(0).Take(t.Context(), fmt.Sprint(i), limiter.Per(10, time.Hour), 1)
				}
				time.Sleep(time.Second + time.Duration(try)*330*time.Millisecond)
				w.Heal()
				time.Sleep(10 * time.Second)
				assert.Zero(t, w.Node(0).Stats().Unreachable, "round trip %d ms", c.rtt)
			})
		}
	}
}

// Whoever waits for a node to start gives up; what was asked must not be counted then.
func TestTakesThatWaitForAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead, stop atomic.Bool
		c := New(t, 4, Options{Config: func(i int, cfg *cluster.Config) {
			if i == 2 && dead.Load() {
				cfg.Join = []string{"127.1.0.4:7946"} // of node3
			}
		}})
		l := limiter.Limit{Quota: 1_000_000, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		require.NoError(t, c.Leave(3))
		c.hosts[3].Crash()
		c.Settle()
		dead.Store(true)
		c.Kill(2)
		time.Sleep(1500 * time.Millisecond)
		var admitted [12]atomic.Int64
		var wg sync.WaitGroup
		for i := range 2 * len(keys) {
			wg.Go(func() {
				for n, k := c.Node(i%2), i/2; !stop.Load(); time.Sleep(10 * time.Millisecond) {
					if d, err := n.Take(t.Context(), keys[k], l, 1); err == nil && d.Allowed {
						admitted[k].Add(1)
					}
				}
			})
		}
		c.Restart(2)
		time.Sleep(500 * time.Millisecond)
		stop.Store(true)
		wg.Wait()
		c.Settle()
		time.Sleep(time.Second)
		for k, key := range keys {
			d, _ := c.Node(0).Take(t.Context(), key, l, 0)
			assert.Equal(t, admitted[k].Load(), l.Quota-d.Remaining, "key %s", key)
		}
	})
}

// Over long wires a cluster is slow, and exact: default settings, and nobody decides
// alone. What a take costs is one round trip to the owner.
func TestRoundTrips(t *testing.T) {
	const nodes, callers, takes = 3, 8, 40
	for _, secret := range []string{"", "0123456789abcdef"} {
		for _, rtt := range []time.Duration{5, 20, 50, 100, 200, 400} {
			rtt *= time.Millisecond
			t.Run(fmt.Sprintf("%v/secret=%v", rtt, secret != ""), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					c := New(t, nodes, Options{Network: simnet.Options{Latency: rtt / 2, KeepAlive: 2 * time.Second},
						Config: func(_ int, cfg *cluster.Config) { cfg.Secret = []byte(secret) }})
					formed := time.Since(began)
					l := limiter.Limit{Quota: 1000, Window: 24 * time.Hour}
					var mu sync.Mutex
					var took []time.Duration
					admitted := make([]int, len(keys))
					var wg sync.WaitGroup
					for i := range callers {
						wg.Go(func() {
							for j := range takes {
								k, start := (i+j)%len(keys), time.Now()
								d, err := c.Node((i+j)%nodes).Take(t.Context(), keys[k], l, 1)
								mu.Lock()
								assert.NoError(t, err)
								assert.False(t, d.Degraded)
								took = append(took, time.Since(start))
								if d.Allowed {
									admitted[k]++
								}
								mu.Unlock()
								time.Sleep(7 * time.Millisecond)
							}
						})
					}
					wg.Wait()
					time.Sleep(2 * time.Second) // leases come back
					sum := 0
					for k, key := range keys {
						sum += admitted[k]
						for i := range nodes {
							d, err := c.Node(i).Take(t.Context(), key, l, 0)
							require.NoError(t, err)
							require.EqualValues(t, l.Quota-int64(admitted[k]), d.Remaining, "key %s at node %d", key, i)
						}
					}
					require.Equal(t, callers*takes, sum)
					for i := range nodes {
						s := c.Node(i).Stats()
						assert.Zero(t, s.Degraded, "node %d", i)
						assert.Zero(t, s.Failovers, "node %d", i)
						assert.Zero(t, s.Unreachable, "node %d", i)
					}
					slices.Sort(took)
					p99 := took[len(took)*99/100]
					t.Logf("round trip %6v, secret %-5v: whole after %8v, p99 %6v = %.2f round trips", rtt, secret != "", formed.Round(time.Millisecond), p99, float64(p99)/float64(rtt))
					require.LessOrEqual(t, p99, 2*rtt)
				})
			})
		}
	}
}

// A wire that becomes long is measured, and then nobody is taken for dead.
func TestWireBecomesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Limit{Quota: 100_000, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		c.Net.Set(func(o *simnet.Options) { o.Latency = 150 * time.Millisecond })
		spendFor := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				for i := range 3 {
					_, err := c.Node(i).Take(t.Context(), keys[i], l, 1)
					require.NoError(t, err)
				}
			}
		}
		spendFor(10 * time.Second)
		before := make([]int64, 3)
		for i := range before {
			require.Zero(t, c.Node(i).Stats().Unreachable)
			before[i] = c.Node(i).Stats().Failovers
		}
		spendFor(20 * time.Second)
		for i := range before {
			require.Equal(t, before[i], c.Node(i).Stats().Failovers, "node %d: it is known by now", i)
		}
	})
}

// A wire was longer than anybody waits, and is short again: that is found out, and who holds a
// budget is asked again.
func TestWireBecomesShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Limit{Quota: 100_000, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		take := func() {
			for k := range keys {
				_, err := c.Node(k%3).Take(t.Context(), keys[k], l, 1)
				require.NoError(t, err)
			}
		}
		c.Net.Set(func(o *simnet.Options) { o.Latency = time.Second })
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			take()
		}
		c.Net.Set(func(o *simnet.Options) { o.Latency = 200 * time.Microsecond })
		time.Sleep(5 * time.Second) // what is on its way
		for range 20 {
			take()
		}
		for i := range 3 {
			before := c.Node(i).Stats().Failovers
			began := time.Now()
			take()
			require.Less(t, time.Since(began), 100*time.Millisecond)
			require.Equal(t, before, c.Node(i).Stats().Failovers, "node %d", i)
		}
	})
}

// stall holds up all that a node hears and says, and lets it go on: what a busy machine
// does to a process, without its clock having stood still.
func (c *Cluster) stall(i int, d time.Duration) {
	c.hosts[i].Pause()
	time.Sleep(d)
	c.hosts[i].Resume()
}

// A slow owner: its answers come when their askers have gone to the successor. What it
// counted for them is taken back, once.
func TestSlowOwnerCostsNoBudget(t *testing.T) {
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		for _, d := range []time.Duration{150, 300, 600, 1000} {
			d *= time.Millisecond
			t.Run(fmt.Sprint(a, d), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := New(t, 4, Options{})
					l := limiter.Limit{Quota: 10_000, Window: 24 * time.Hour, Lease: limiter.LeaseOff, Algorithm: a}
					key := ownedBy(t, 4, 0, l)
					var admitted atomic.Int64
					var wg sync.WaitGroup
					for i := 1; i < 4; i++ {
						for range 10 {
							wg.Go(func() {
								for range 60 {
									if d, err := c.Node(i).Take(t.Context(), key, l, 1); err == nil && d.Allowed {
										admitted.Add(1)
									}
									time.Sleep(20 * time.Millisecond)
								}
							})
						}
					}
					time.Sleep(101 * time.Millisecond)
					c.stall(0, d)
					wg.Wait()
					c.Settle()
					time.Sleep(5 * time.Second)
					require.EqualValues(t, 3*10*60, admitted.Load())
					undone := int64(0)
					for i := range 4 {
						undone += c.Node(i).Stats().Undone
					}
					t.Logf("stalled for %v: %d taken back", d, undone)
					require.Positive(t, undone)
					if a == limiter.TokenBucket {
						return // what remains after two have decided is for the join to tell
					}
					for i := range 4 {
						got, err := c.Node(i).Take(t.Context(), key, l, 0)
						require.NoError(t, err)
						require.Equal(t, l.Quota-admitted.Load(), got.Remaining, "node %d", i)
					}
				})
			})
		}
	}
}

// A node whose requests arrive and whose answers do not: each asker passes by it to
// others, which ask it again. It counts each request once.
func TestAskedByManyCountsOnce(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, nodes, Options{})
			l := limiter.Limit{Quota: 1000, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
			key := ownedBy(t, nodes, 0, l)
			asker := 1
			if holderOf(nodes, 1, key, l) == 1 {
				asker = 2
			}
			c.Cut(0, asker) // the owner hears the asker, and not the other way round
			admitted := int64(0)
			for range 100 {
				if d, err := c.Node(asker).Take(t.Context(), key, l, 1); err == nil && d.Allowed {
					require.False(t, d.Degraded)
					admitted++
				}
				time.Sleep(20 * time.Millisecond)
			}
			c.Heal()
			c.Settle()
			time.Sleep(5 * time.Second)
			require.EqualValues(t, 100, admitted)
			for i := range nodes {
				d, err := c.Node(i).Take(t.Context(), key, l, 0)
				require.NoError(t, err)
				require.Equal(t, l.Quota-admitted, d.Remaining, "%d nodes, at node %d", nodes, i)
			}
		})
	}
}
