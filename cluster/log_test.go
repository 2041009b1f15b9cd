package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// slow is a handler that blocks while its gate is closed, in Enabled as well.
type slow struct {
	mu    sync.Mutex
	gate  chan struct{}
	lines []string
	loud  slog.Level
}

func newSlow() *slow {
	s := &slow{gate: make(chan struct{})}
	close(s.gate)
	return s
}

func (s *slow) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
}

func (s *slow) open() { close(s.gateNow()) }

func (s *slow) gateNow() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gate
}

func (s *slow) Enabled(_ context.Context, l slog.Level) bool {
	<-s.gateNow()
	return l >= s.loud
}

func (s *slow) Handle(_ context.Context, r slog.Record) error {
	<-s.gateNow()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += fmt.Sprint(" ", a); return true })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, text)
	return nil
}

func (s *slow) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s *slow) WithGroup(string) slog.Handler      { return s }

// Lines come in order, with what belongs to all of a logger's; what a slow logger leaves no
// room for is counted; the end waits for what is queued, but not for ever.
func TestLogQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newSlow()
		q := newLogQueue(to)
		log := slog.New(logHandler{q: q}).With("a", 1)
		synctest.Wait()
		require.False(t, log.Enabled(t.Context(), slog.LevelDebug))
		log.Info("first", "b", 2)
		synctest.Wait()
		to.shut()
		for i := range logLines + 11 { // one is with the handler
			log.Info(fmt.Sprint(i))
			synctest.Wait()
		}
		to.open()
		synctest.Wait()
		require.Equal(t, "first b=2 a=1", to.lines[0])
		require.Equal(t, "0 a=1", to.lines[1])
		require.Equal(t, "10 lines were dropped: the logger was too slow", to.lines[2])
		require.Len(t, to.lines, logLines+3)

		to.shut()
		log.Info("last")
		began := time.Now()
		q.close()
		require.Equal(t, logFlushMax, time.Since(began))
		log.Info("after the end")
		to.open()
		q.close()
		require.Equal(t, "last a=1", to.lines[len(to.lines)-1])
	})
}

// A logger that blocks for seconds changes nothing: takes are answered at once, nodes come
// and go, and nobody doubts or is taken for dead.
func TestLoggerThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw, to := simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), newSlow()
		to.loud = slog.LevelDebug // memberlist's lines, too
		nodes, _, _ := startTuned(t, nw, func(c *Config) { c.Logger = slog.New(to) }, "a", "b")
		time.Sleep(2 * time.Second)
		to.shut()
		t.Cleanup(to.open) // before the nodes are closed
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
