package clustertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// A node leaves right after another one came back, which has not heard of it and hands
// partitions over to it: none of them ends with it.
func TestLeaverKeepsNothing(t *testing.T) {
	t.Parallel()
	for after := range 20 {
		synctest.Test(t, func(t *testing.T) {
			after := time.Duration(after) * time.Millisecond
			c := New(t, 5, Options{Network: simnet.Options{Latency: time.Millisecond}})
			for back := range 5 {
				require.NoError(t, c.Leave(back))
				c.Restart(back)
				time.Sleep(after)
				leaver := c.Node((back + 4) % 5)
				require.NoError(t, c.Leave((back+4)%5))
				require.Zero(t, leaver.Stats().Holding, "%v after node %d came back", after, back)
				c.Restart((back + 4) % 5)
				c.Settle()
			}
		})
	}
}

// Whoever asks a node to leave twice does not keep it from handing over.
func TestLeaveTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(10, 24*time.Hour)
		spendAll(t, c, l, 4, 4)
		leaver, first := c.Node(2), make(chan error)
		go func() { first <- leaver.Leave(t.Context()) }()
		synctest.Wait()
		require.ErrorContains(t, leaver.Leave(t.Context()), "leaving already")
		require.NoError(t, <-first)
		require.Zero(t, leaver.Stats().Holding)
		require.ErrorIs(t, c.Leave(2), cluster.ErrClosed)
		c.Settle()
		spendAll(t, c, l, 30, 6)
	})
}

// A Leave takes no longer than it may, also where nobody takes anything over.
func TestLeaveInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, most := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, time.Second} {
			for _, cut := range []bool{false, true} {
				c := New(t, 3, Options{})
				spendAll(t, c, limiter.Per(10, 24*time.Hour), 4, 4)
				if cut {
					c.Split([]int{1})
				}
				ctx, cancel := context.WithTimeout(t.Context(), most)
				begin := time.Now()
				err := c.LeaveWithin(ctx, 1)
				cancel()
				require.LessOrEqual(t, time.Since(begin), most+10*time.Millisecond, "cut off: %v", cut)
				require.Equal(t, cut, err != nil, "%v: %v", most, err)
				c.Close()
			}
		}
	})
}

// On long wires a request meets nodes that have handed its partition on, one after the other:
// each of them answers, so the last one is asked as well, and nothing is degraded.
func TestLeaveOnLongWires(t *testing.T) {
	for _, oneWay := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 180 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 4, Options{Network: simnet.Options{Latency: oneWay, Jitter: oneWay / 4, KeepAlive: 2 * time.Second}})
			c.Settle()
			l := limiter.Limit{Quota: 1e6, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
			var traffic sync.WaitGroup
			for asked := range 3 {
				n := c.Node(asked)
				for k := range 40 {
					k := fmt.Sprint(k)
					traffic.Go(func() {
						for i := range 60 {
							time.Sleep(time.Duration((k[0]+byte(i))%7) * 5 * time.Millisecond)
							d, err := n.Take(t.Context(), k, l, 1)
							if err != nil || d.Degraded || !d.Allowed {
								t.Errorf("%v one way, node %d, key %s of node %d: %+v %v", oneWay, asked, k, ownerOf(4, k, l), d, err)
							}
						}
					})
				}
			}
			time.Sleep(300 * time.Millisecond)
			require.NoError(t, c.Leave(3))
			c.Restart(3)
			traffic.Wait()
		})
	}
}

// Who has nobody to hand anything to says so, unless there is nobody who could miss it.
func TestLeaveAlone(t *testing.T) {
	for _, how := range []string{"killed", "left", "cut off"} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 2, Options{Config: func(_ int, cfg *cluster.Config) { cfg.ForgetAfter = time.Minute }})
			c.Settle()
			spendAll(t, c, limiter.Per(10, 24*time.Hour), 4, 4)
			switch how {
			case "killed":
				c.Kill(1)
			case "left":
				require.NoError(t, c.Leave(1))
			case "cut off":
				c.Split([]int{0}, []int{1})
			}
			time.Sleep(30 * time.Second)
			err := c.Leave(0)
			if how == "left" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "missing", how)
			}
		})
	}
}
