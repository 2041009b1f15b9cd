package cluster

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// A second node of a name is an error of Start where a seed knows the first one, and that
// one answers; where it does not answer any more, the second one takes its place.
func TestNameTaken(t *testing.T) {
	for what, c := range map[string]struct {
		before func(first *simnet.Host, n *Node) // the second one starts
		join   string
		taken  bool
	}{
		"it lives, and another node is the seed": {func(*simnet.Host, *Node) {}, "127.1.0.1:7946", true},
		"it lives, and is the seed":              {func(*simnet.Host, *Node) {}, "127.1.0.2:7946", true},
		"it is paused":                           {func(h *simnet.Host, _ *Node) { h.Pause() }, "127.1.0.1:7946", false},
		"it was killed":                          {func(h *simnet.Host, n *Node) { h.Kill(); n.Close() }, "127.1.0.1:7946", false},
		"its machine vanished":                   {func(h *simnet.Host, n *Node) { h.Crash(); n.Close() }, "127.1.0.1:7946", false},
		"it left":                                {func(_ *simnet.Host, n *Node) { n.Leave(context.Background()) }, "127.1.0.1:7946", false},
		"nobody knows":                           {func(*simnet.Host, *Node) {}, "127.1.0.9:7946", false},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nw := lab(t)
				mustStart(t, nw.Host("c", "127.1.0.1"), "c")
				h := nw.Host("first", "127.1.0.2")
				first := mustStart(t, h, "x", "127.1.0.1:7946")
				time.Sleep(2 * time.Second)
				c.before(h, first)
				second, err := startOn(t, nw.Host("second", "127.1.0.3"), "x", io.Discard, func(cfg *Config) { cfg.Join = []string{c.join} })
				h.Resume()
				if c.taken {
					require.ErrorIs(t, err, ErrNameTaken)
					require.ErrorContains(t, err, `"x"`)
					require.ErrorContains(t, err, "127.1.0.2:7946")
					return
				}
				require.NoError(t, err)
				require.Equal(t, "x", second.Name())
			})
		})
	}
}

// Where it comes out late that two living nodes have one name, the younger decides
// nothing, and nothing is admitted twice; when the older one is gone, the other takes over.
func TestTwoOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := lab(t)
		var log [2]lockedBuilder
		hosts := []*simnet.Host{nw.Host("first", "127.1.0.1"), nw.Host("c", "127.1.0.2"), nw.Host("second", "127.1.0.3")}
		start := func(i int, name string, join ...string) *Node {
			n, err := startOn(t, hosts[i], name, &log[i/2], func(c *Config) { c.Join = join })
			require.NoError(t, err)
			return n
		}
		first := start(0, "x")
		c := start(1, "c", "127.1.0.1:7946")
		nw.Partition([]string{"second"}) // nobody can know
		time.Sleep(2 * time.Second)
		second := start(2, "x", "127.1.0.2:7946")
		time.Sleep(10 * time.Millisecond)
		require.Contains(t, log[1].String(), "cannot join yet")
		nw.Heal()
		time.Sleep(8 * time.Second)
		require.Zero(t, second.Stats().Holding)
		require.Equal(t, Partitions, first.Stats().Holding+c.Stats().Holding)
		require.Equal(t, 1, strings.Count(log[1].String(), "another living node has this node's name"), log[1].String())
		require.NotContains(t, log[0].String(), "another living node")
		l := limiter.Per(10, 24*time.Hour)
		nodes := []*Node{first, c, second}
		for i := range 60 {
			admitted := 0
			for k := range 30 {
				d, err := nodes[k%3].Take(t.Context(), string(rune('0'+i)), l, 1)
				require.NoError(t, err)
				if d.Allowed {
					admitted++
				}
			}
			require.Equal(t, 10, admitted, "key %d", i)
		}
		hosts[0].Kill()
		first.Close()
		time.Sleep(12 * time.Second)
		require.Equal(t, Partitions, c.Stats().Holding+second.Stats().Holding)
		require.NotZero(t, second.Stats().Holding)
		d, err := second.Take(t.Context(), "fresh", l, 1)
		require.NoError(t, err)
		require.True(t, d.Allowed && !d.Degraded)
	})
}
