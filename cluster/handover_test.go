package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// A node that refuses what is handed over to it is asked again with every beat of the
// loop, not as fast as it can refuse.
func TestRefusedHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 200 * time.Microsecond})
		nodes, _, written := startCounted(t, nw, "a", "b")
		a, b := nodes[0], nodes[1]
		b.timed.Store(false) // it refuses everything
		time.Sleep(300 * time.Millisecond)
		require.Zero(t, b.Stats().Holding)
		written[0].Store(0)
		time.Sleep(time.Second)
		beats, each := int64(time.Second/handBeat), int64(64) // bytes of a "complete", with id and length
		require.Less(t, written[0].Load(), beats*each*int64(Partitions), "bytes in a second")
		b.timed.Store(true)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, Partitions, a.Stats().Holding+b.Stats().Holding)
		require.NotZero(t, b.Stats().Holding)
	})
}

// startCounted starts nodes, and counts the bytes that each writes to streams it opened.
func startCounted(t *testing.T, nw *simnet.Network, names ...string) (nodes []*Node, hosts []*simnet.Host, written []*atomic.Int64) {
	return startTuned(t, nw, func(*Config) {}, names...)
}

// startTuned is the same with a change to the configuration.
func startTuned(t *testing.T, nw *simnet.Network, change func(*Config), names ...string) (nodes []*Node, hosts []*simnet.Host, written []*atomic.Int64) {
	t.Cleanup(func() { time.Sleep(time.Minute) }) // what gossip leaves behind runs out
	for i, name := range names {
		addr, sum := fmt.Sprintf("127.1.0.%d", i+1), new(atomic.Int64)
		host := nw.Host(name, addr)
		cfg := Config{Name: name, Bind: addr + ":7946", Join: []string{"127.1.0.1:7946"},
			Network: counted{host, sum}, Logger: slog.New(slog.DiscardHandler)}
		change(&cfg)
		n, err := Start(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(n.Close)
		nodes, hosts, written = append(nodes, n), append(hosts, host), append(written, sum)
		if i < len(names)-1 { // whoever comes last has nothing yet
			time.Sleep(time.Second)
		}
	}
	return nodes, hosts, written
}

// counted is a network that counts what is written to its streams.
type counted struct {
	Network
	written *atomic.Int64
}

func (c counted) Dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := c.Network.Dial(ctx, addr)
	return countedConn{conn, c.written}, err
}

type countedConn struct {
	net.Conn
	written *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.written.Add(int64(len(b)))
	return c.Conn.Write(b)
}
