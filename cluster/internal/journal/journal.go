// Package journal is the operator's logger, for those who must not wait for it. It may
// block, for as long as a full disk or a slow pipe does. So lines go into a queue, and one
// goroutine takes them out. What finds no room is counted, and reported when there is room
// again.
package journal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	linesMax = 256             // lines that wait for the logger
	FlushMax = 2 * time.Second // how long Close waits until they are written
)

// Journal is that queue, in front of the operator's handler. It is safe for concurrent use.
type Journal struct {
	to      slog.Handler
	lines   chan slog.Record
	enabled atomic.Int64 // the lowest level that to wants: it is not asked by who logs
	dropped atomic.Int64 // lines not yet reported
	ended   chan struct{}

	mu     sync.Mutex // guards the order of the last line and the end
	closed bool

	toldMu sync.Mutex
	told   map[string]time.Time // what was told, and when
	bad    map[string]bool      // what is bad
}

// New begins a journal in front of a handler.
func New(to slog.Handler) *Journal {
	q := &Journal{to: to, lines: make(chan slog.Record, linesMax), ended: make(chan struct{}), bad: map[string]bool{}}
	go q.write()
	return q
}

// Logger writes to the journal.
func (q *Journal) Logger() *slog.Logger { return slog.New(handler{q: q}) }

// Lesser writes to the journal, while it is less than half full: what others cause leaves room for
// the node's own lines.
func (q *Journal) Lesser() *slog.Logger { return slog.New(handler{q: q, lesser: true}) }

// look asks the handler what it wants to hear. Nobody else asks it.
func (q *Journal) look() {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if q.to.Enabled(context.Background(), level) {
			q.enabled.Store(int64(level))
			return
		}
	}
	q.enabled.Store(int64(slog.LevelError))
}

// write writes the lines until the queue is closed and empty.
func (q *Journal) write() {
	defer close(q.ended)
	q.look()
	ctx := context.Background()
	for r := range q.lines {
		if q.to.Enabled(ctx, r.Level) {
			_ = q.to.Handle(ctx, r) // there is nobody to tell
		}
		if lost := q.dropped.Swap(0); lost > 0 && q.to.Enabled(ctx, slog.LevelWarn) {
			_ = q.to.Handle(ctx, slog.NewRecord(time.Now(), slog.LevelWarn, fmt.Sprintf("%d lines were dropped: the logger was too slow", lost), 0))
		}
		q.look()
	}
}

// Close ends the journal, when all that it holds is written, or after a while. A logger
// that goes on blocking keeps the goroutine, and nobody else.
func (q *Journal) Close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	t := time.NewTimer(FlushMax)
	defer t.Stop()
	select {
	case <-q.ended:
	case <-t.C:
	}
}

// handler is the queue as a handler. Whoever uses it never waits.
type handler struct {
	q      *Journal
	attrs  []slog.Attr // of all its lines
	lesser bool
}

// Enabled says whether the operator's handler wanted lines of this level when it was last
// asked.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return int64(level) >= h.q.enabled.Load()
}

// Handle queues a line, or counts it as dropped.
func (h handler) Handle(_ context.Context, r slog.Record) error {
	h.q.mu.Lock()
	defer h.q.mu.Unlock()
	if h.q.closed {
		return nil
	}
	if h.lesser && len(h.q.lines) >= linesMax/2 {
		h.q.dropped.Add(1)
		return nil
	}
	r = r.Clone()
	r.AddAttrs(h.attrs...)
	select {
	case h.q.lines <- r:
	default:
		h.q.dropped.Add(1)
	}
	return nil
}

// WithAttrs adds to all lines.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

// WithGroup changes nothing: no line of a node has groups.
func (h handler) WithGroup(string) slog.Handler { return h }

// Turned says whether it is news that something is bad, or that it is good again. It is for
// few things, and remembers them.
func (q *Journal) Turned(what string, bad bool) bool {
	q.toldMu.Lock()
	defer q.toldMu.Unlock()
	was := q.bad[what]
	if q.bad[what] = true; !bad {
		delete(q.bad, what)
	}
	return was != bad
}

const (
	toldMax = 64               // before it is forgotten
	Window  = 10 * time.Minute // in which the same failure is told once
)

// Once calls tell the first time in each Window that it hears of what.
func (q *Journal) Once(what string, tell func()) {
	now := time.Now()
	q.toldMu.Lock()
	last, known := q.told[what]
	again := !known || now.Sub(last) >= Window
	if q.told == nil || !known && len(q.told) >= toldMax {
		q.told = map[string]time.Time{}
	}
	if again {
		q.told[what] = now
	}
	q.toldMu.Unlock()
	if again {
		tell()
	}
}
