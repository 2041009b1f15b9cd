package cluster

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// shut is a handler that blocks while it is shut, and wants to hear everything,
// memberlist's lines, too.
type shut struct {
	mu   sync.Mutex
	open chan struct{} // closed while it is open
}

func (s *shut) wait() {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	<-open
}

func (s *shut) Enabled(context.Context, slog.Level) bool  { s.wait(); return true }
func (s *shut) Handle(context.Context, slog.Record) error { s.wait(); return nil }
func (s *shut) WithAttrs([]slog.Attr) slog.Handler        { return s }
func (s *shut) WithGroup(string) slog.Handler             { return s }

// A logger that blocks for seconds changes nothing: takes are answered at once, nodes come
// and go, and nobody doubts or is taken for dead.
func TestLoggerThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw, to, open := simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), &shut{open: make(chan struct{})}, make(chan struct{})
		close(to.open)
		nodes, _, _ := startTuned(t, nw, func(c *Config) { c.Logger = slog.New(to) }, "a", "b")
		time.Sleep(2 * time.Second)
		to.mu.Lock()
		to.open = open
		to.mu.Unlock()
		t.Cleanup(func() { close(open) }) // before the nodes are closed
		c, err := Start(t.Context(), Config{Name: "c", Bind: "127.1.0.3:7946", Join: []string{"127.1.0.1:7946"},
			Network: nw.Host("c", "127.1.0.3"), Logger: slog.New(to)})
		require.NoError(t, err)
		t.Cleanup(c.Close)
		nodes = append(nodes, c)
		l := limiter.Limit{Quota: 1000, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		for i := range 600 {
			for _, n := range nodes {
				began := time.Now()
				d, err := n.Take(t.Context(), "key", l, 1)
				require.NoError(t, err)
				require.False(t, d.Degraded)
				require.Equal(t, i < 333 || i == 333 && n == nodes[0], d.Allowed, "round %d", i)
				require.Less(t, time.Since(began), 50*time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, n := range nodes {
			require.Zero(t, n.epoch.Load(), "%s doubts", n.Name())
			require.Equal(t, 3, n.Stats().Live, "%s", n.Name())
			require.Zero(t, n.Stats().Pending)
		}
		began := time.Now()
		require.NoError(t, nodes[1].Leave(t.Context()))
		require.Less(t, time.Since(began), leaveMax)
	})
}
