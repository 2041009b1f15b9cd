package journal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
func TestJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newSlow()
		q := New(to)
		log := q.Logger().With("a", 1)
		synctest.Wait()
		require.False(t, log.Enabled(t.Context(), slog.LevelDebug))
		log.Info("first", "b", 2)
		synctest.Wait()
		to.shut()
		for i := range linesMax + 11 { // one is with the handler
			log.Info(fmt.Sprint(i))
			synctest.Wait()
		}
		to.open()
		synctest.Wait()
		require.Equal(t, "first b=2 a=1", to.lines[0])
		require.Equal(t, "0 a=1", to.lines[1])
		require.Equal(t, "10 lines were dropped: the logger was too slow", to.lines[2])
		require.Len(t, to.lines, linesMax+3)

		to.shut()
		log.Info("last")
		began := time.Now()
		q.Close()
		require.Equal(t, FlushMax, time.Since(began))
		log.Info("after the end")
		to.open()
		q.Close()
		require.Equal(t, "last a=1", to.lines[len(to.lines)-1])
	})
}

// Lines that others cause keep no room from the node's own.
func TestLesserLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newSlow()
		q := New(to)
		log, lesser := q.Logger(), q.Lesser()
		synctest.Wait()
		to.shut()
		for range 2 * linesMax {
			lesser.Info("theirs")
			synctest.Wait()
		}
		for range linesMax / 2 {
			log.Info("ours")
			synctest.Wait()
		}
		to.open()
		q.Close()
		told := map[string]int{}
		for _, line := range to.lines {
			told[line]++
		}
		require.Equal(t, map[string]int{"theirs": linesMax/2 + 1, "ours": linesMax / 2, // one was with the handler
			fmt.Sprintf("%d lines were dropped: the logger was too slow", 2*linesMax-linesMax/2-1): 1}, told)
	})
}

// What is bad is news once, and when it is good again once more.
func TestTurned(t *testing.T) {
	q := New(slog.DiscardHandler)
	defer q.Close()
	for i, c := range []struct{ bad, news bool }{{false, false}, {true, true}, {true, false}, {false, true}, {false, false}, {true, true}} {
		require.Equal(t, c.news, q.Turned("it", c.bad), "step %d", i)
		require.False(t, q.Turned("another", false))
	}
}

// What is told once is told again when much else was told since.
func TestOnce(t *testing.T) {
	q, told := New(slog.DiscardHandler), map[string]int{}
	defer q.Close()
	for range 3 {
		q.Once("this", func() { told["this"]++ })
		q.Once("that", func() { told["that"]++ })
	}
	require.Equal(t, map[string]int{"this": 1, "that": 1}, told)
	for i := range toldMax {
		q.Once(fmt.Sprint(i), func() {})
	}
	q.Once("this", func() { told["this"]++ })
	require.Equal(t, 2, told["this"])
}

// A failure that lasts is told once in each window, not once for ever.
func TestOnceInEachWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, told := New(slog.DiscardHandler), 0
		defer q.Close()
		for range 3 * Window / time.Minute {
			q.Once("this", func() { told++ })
			time.Sleep(time.Minute)
		}
		require.Equal(t, 3, told)
	})
}
