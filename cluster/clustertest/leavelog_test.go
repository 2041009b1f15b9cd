package clustertest_test

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// logged keeps what all nodes log.
type logged struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// A rolling restart under load logs no warning and no error on any node, neither ours nor what
// gossip's library calls one; and each leave is one line on each node.
func TestGracefulLeaveLogsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard logged
		log := slog.New(slog.NewTextHandler(&heard, nil))
		c := clustertest.New(t, 3, clustertest.Options{Config: func(_ int, cfg *cluster.Config) { cfg.Logger = log }})
		l := limiter.Limit{Quota: 1 << 30, Window: time.Hour}
		stop := make(chan struct{})
		var load sync.WaitGroup
		load.Go(func() { // by the node that stays
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
					c.Node(0).Take(t.Context(), "key", l, 1)
				}
			}
		})
		for i := 1; i < 3; i++ {
			require.NoError(t, c.Leave(i))
			time.Sleep(time.Minute) // gossip's own timers run out
			c.Restart(i)
			c.Settle()
		}
		close(stop)
		load.Wait()
		synctest.Wait()
		heard.mu.Lock()
		defer heard.mu.Unlock()
		text := heard.all.String()
		require.NotContains(t, text, "level=WARN")
		require.NotContains(t, text, "level=ERROR")
		require.Equal(t, 3, strings.Count(text, "left=[node1]"), text)
		require.Equal(t, 3, strings.Count(text, "left=[node2]"), text)
	})
}

// Two nodes that leave at once say of themselves that they left, and never that they joined; and when
// they have left, that they are gone.
func TestWhoLeavesDoesNotJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard logged
		log := slog.New(slog.NewTextHandler(&heard, nil))
		c := clustertest.New(t, 2, clustertest.Options{Config: func(_ int, cfg *cluster.Config) { cfg.Logger = log }})
		var wg sync.WaitGroup
		nodes := []*cluster.Node{c.Node(0), c.Node(1)}
		for _, n := range nodes {
			require.Equal(t, "living", self(n).State)
			wg.Go(func() { n.Leave(t.Context()) })
		}
		wg.Wait()
		for _, n := range nodes {
			require.Equal(t, "left", self(n).State)
			require.Zero(t, self(n).Partitions)
			heard.mu.Lock()
			require.NotRegexp(t, "node="+n.Name()+" .*joined=[^a-z]*"+n.Name(), heard.all.String())
			heard.mu.Unlock()
		}
	})
}

// self is a node as it sees itself.
func self(n *cluster.Node) cluster.Member {
	all := n.Members()
	return all[slices.IndexFunc(all, func(m cluster.Member) bool { return m.Self })]
}
