package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/limiter"
)

// startOn starts a node on a host, with the first other address as its seed.
func startOn(t *testing.T, h *simnet.Host, name string, log io.Writer, change func(*Config)) (*Node, error) {
	cfg := Config{Name: name, Bind: h.Addr().String() + ":7946", Network: h, Logger: slog.New(slog.NewTextHandler(log, nil))}
	change(&cfg)
	n, err := Start(t.Context(), cfg)
	if err == nil {
		t.Cleanup(n.Close)
	}
	return n, err
}

func mustStart(t *testing.T, h *simnet.Host, name string, join ...string) *Node {
	n, err := startOn(t, h, name, io.Discard, func(c *Config) { c.Join = join })
	require.NoError(t, err)
	return n
}

func lab(t *testing.T) *simnet.Network {
	t.Cleanup(func() { time.Sleep(time.Minute) }) // what gossip leaves behind runs out
	return simnet.New(simnet.Options{Latency: 200 * time.Microsecond, KeepAlive: time.Second})
}

// lost tells a node of one that it has seen, and that vanished a while ago.
func lost(n *Node, name, addr string, ago time.Duration) {
	age := n.clock.age() - ago
	n.members.Alive(membership.Process{Name: name, Origin: 1}, addr, false, age)
	n.members.Lose(n.members.Get(name), age)
}

// A split heals within seconds although 200 addresses are remembered that swallow every
// packet, without a seed on the other side; and those are tried less and less, and at
// last not at all.
func TestDeadAddressesHoldNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := lab(t)
		ha, hb := nw.Host("a", "127.1.0.1"), nw.Host("b", "127.1.0.2")
		dials := &dialCount{Network: hb, mu: make(chan struct{}, 1), to: map[string]int{}}
		// The two meet at a seed that goes: each can find the other only as one that was lost.
		seed := mustStart(t, nw.Host("seed", "127.1.0.3"), "seed")
		join := []string{seed.Addr()}
		a, err := startOn(t, ha, "a", io.Discard, func(c *Config) { c.Join = join })
		require.NoError(t, err)
		b, err := startOn(t, hb, "b", io.Discard, func(c *Config) { c.Join, c.Network = join, dials })
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.NoError(t, seed.Leave(t.Context()))
		time.Sleep(5 * time.Second)
		holes := 200
		for _, n := range []*Node{a, b} {
			for i := range holes {
				name := fmt.Sprintf("dead%d", i)
				nw.Host(name+n.Name(), fmt.Sprintf("127.9.%d.%d", i/200, i%200+1)).Crash()
				lost(n, name, fmt.Sprintf("127.9.%d.%d:7946", i/200, i%200+1), 0)
			}
		}
		nw.Partition([]string{"a"})
		for b.Stats().Live > 1 || a.Stats().Live > 1 {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(20 * time.Second)
		nw.Heal()
		healed := time.Now()
		for b.Stats().Live < 2 || a.Stats().Live < 2 {
			time.Sleep(100 * time.Millisecond)
			require.Less(t, time.Since(healed), 30*time.Second)
		}
		took := time.Since(healed)
		require.Less(t, took, 16*time.Second)
		t.Logf("healed in %v", took)

		dials.reset()
		time.Sleep(10 * time.Minute)
		perHole := float64(dials.sum("127.9.")) / float64(holes)
		require.Less(t, perHole, 50.0, "dials of a dead address in ten minutes")
		require.Greater(t, perHole, 10.0)
		for _, x := range b.members.Snapshot(b.clock.age()).Members {
			if !x.Live {
				lost(b, x.Name, x.Addr, membership.LostFor)
			}
		}
		time.Sleep(10 * time.Second) // those under way end
		dials.reset()
		time.Sleep(10 * time.Minute)
		require.Zero(t, dials.sum("127.9."))
	})
}

// A seed that nobody answers at is tried for ever, and finds who comes there late.
func TestSeedsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := lab(t)
		a := mustStart(t, nw.Host("a", "127.1.0.1"), "a", "127.1.0.2:7946")
		for i := range 1000 {
			lost(a, fmt.Sprint(i), fmt.Sprintf("127.9.%d.%d:7946", i/200, i%200+1), 0)
		}
		time.Sleep(time.Hour)
		b := mustStart(t, nw.Host("b", "127.1.0.2"), "b")
		began := time.Now()
		for b.Stats().Live < 2 {
			time.Sleep(50 * time.Millisecond)
			require.Less(t, time.Since(began), 5*time.Second)
		}
	})
}

type dialCount struct {
	Network
	mu chan struct{}
	to map[string]int
}

func (d *dialCount) lock() func() {
	d.mu <- struct{}{}
	return func() { <-d.mu }
}

func (d *dialCount) reset() { defer d.lock()(); clear(d.to) }

func (d *dialCount) sum(prefix string) (n int) {
	defer d.lock()()
	for addr, k := range d.to {
		if strings.HasPrefix(addr, prefix) {
			n += k
		}
	}
	return n
}

func (d *dialCount) Dial(ctx context.Context, addr string) (net.Conn, error) {
	unlock := d.lock()
	d.to[addr]++
	unlock()
	return d.Network.Dial(ctx, addr)
}

// Of three nodes that share two are killed and started anew on their own ports under
// other names: what answers there proves that the old ones are gone.
func TestRestartUnderAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := lab(t)
		var hosts []*simnet.Host
		var nodes []*Node
		start := func(i int, name string) {
			n, err := startOn(t, hosts[i], name, io.Discard, func(c *Config) {
				c.Split, c.Join = limiter.SplitShare, []string{"127.1.0.1:7946", "127.1.0.2:7946", "127.1.0.3:7946"}
			})
			require.NoError(t, err)
			nodes[i] = n
		}
		for i := range 3 {
			hosts, nodes = append(hosts, nw.Host(fmt.Sprint(i), fmt.Sprintf("127.1.0.%d", i+1))), append(nodes, nil)
			start(i, fmt.Sprintf("node-%d", i))
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		for i := range 2 {
			hosts[i].Kill()
			nodes[i].Close()
		}
		time.Sleep(10 * time.Second)
		for k := range 10 {
			d, err := nodes[2].Take(t.Context(), "k", limiter.Per(10, time.Hour), 1)
			require.NoError(t, err)
			require.Equal(t, k < 3, d.Allowed, "one of three")
		}
		for i := range 2 {
			hosts[i] = hosts[i].Restart()
			start(i, fmt.Sprintf("another-%d", i))
		}
		time.Sleep(6 * time.Second)
		for i, n := range nodes {
			s := n.Stats()
			require.Equal(t, []int{3, 3}, []int{s.Live, s.Known}, "node %d", i)
			for k := range 30 {
				d, err := n.Take(t.Context(), fmt.Sprint(i, k), limiter.Per(10, time.Hour), 1)
				require.NoError(t, err)
				require.True(t, d.Allowed, "key %d of node %d", k, i)
			}
		}
	})
}
