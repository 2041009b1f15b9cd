package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// The tool is for loopback, and has an end.
func TestAimsAtLoopbackOnly(t *testing.T) {
	for _, c := range []struct {
		addr, mode    string
		sources, open int
		ok            bool
	}{
		{"127.0.0.1:7946", "silent", 1, 1, true}, {"127.9.9.9:1", "tls", 200, 4096, true},
		{"10.0.0.1:7946", "silent", 1, 1, false}, {"0.0.0.0:7946", "silent", 1, 1, false}, {"192.0.2.1:1", "tls", 1, 1, false},
		{"[::ffff:10.0.0.1]:1", "silent", 1, 1, false}, {"localhost:7946", "silent", 1, 1, false}, {"", "silent", 1, 1, false},
		{"127.0.0.1:1", "loud", 1, 1, false}, {"127.0.0.1:1", "silent", 201, 1, false}, {"127.0.0.1:1", "silent", 0, 1, false},
		{"127.0.0.1:1", "silent", 1, 4097, false},
	} {
		a := attack{mode: c.mode, sources: c.sources, open: c.open}
		require.Equal(t, c.ok, a.aim(c.addr) == nil, "%+v", c)
	}
}

// Whatever strangers do, from one address or two hundred, and with more connections than there
// are places (but not so quickly that they and the nodes need more of this machine than it has):
// a node joins meanwhile, and a budget
// that two nodes share stays exact.
func TestNodesGoOnUnderAttack(t *testing.T) {
	if testing.Short() {
		t.Skip("attacks the machine's own sockets for seconds")
	}
	secret := cluster.NewSecret()
	start := func(name string, join ...string) *cluster.Node {
		n, err := cluster.Start(context.Background(), cluster.Config{Name: name, Bind: "127.0.0.1:0", Join: join, Secret: secret,
			CallTimeout: 2 * time.Second})
		require.NoError(t, err)
		t.Cleanup(n.Close)
		return n
	}
	a := start("a")
	for i, sources := range []int{1, sourcesMax} {
		ctx, stop := context.WithCancel(context.Background())
		var attacks sync.WaitGroup
		for _, mode := range modes { // all at once
			x := &attack{mode: mode, sources: sources, open: 40, pause: 10 * time.Millisecond}
			require.NoError(t, x.aim(a.Addr()))
			attacks.Go(func() { x.run(ctx) })
			require.Eventually(t, func() bool { return x.connections.Load()+x.packets.Load() > 100 }, 10*time.Second, time.Millisecond, mode)
		}
		b := start(fmt.Sprint("b", i), a.Addr())
		require.Eventually(t, func() bool {
			of, at := a.Stats(), b.Stats()
			return of.Live == 2 && at.Live == 2 && b.Ready() && of.Holding+at.Holding == cluster.Partitions && at.Pending == 0
		}, time.Minute, time.Millisecond, "%d sources", sources)
		admitted := 0
		for k := range 40 {
			d, err := []*cluster.Node{a, b}[k%2].Take(context.Background(), fmt.Sprint(sources), limiter.Per(20, limiter.MaxWindow), 1)
			require.NoError(t, err)
			require.False(t, d.Degraded, "%d sources", sources)
			if d.Allowed {
				admitted++
			}
		}
		require.Equal(t, 20, admitted, "%d sources", sources)
		stop()
		attacks.Wait()
		require.NotZero(t, a.Stats().TurnedAway)
		require.NoError(t, b.Leave(context.Background()))
	}
}
