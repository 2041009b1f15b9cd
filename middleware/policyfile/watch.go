package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/weir-go/weir/middleware"
)

// ErrClosed is what Reload returns after Close.
var ErrClosed = errors.New("policyfile: the watcher is closed")

// everyDefault is how often a file is looked at unless told otherwise.
const everyDefault = time.Second

// Watcher puts a policy file in force and follows its changes. It asks the file system for
// size and time of change, and reads the file where these do not vouch for it. It needs
// no notification service, so it also sees mounted and replaced files. It is safe for
// concurrent use.
type Watcher struct {
	path     string
	options  Options
	apply    func(middleware.Policy) error
	reader   *reader
	requests chan chan error // from Reload
	done     chan struct{}
	wg       sync.WaitGroup

	mu      sync.Mutex // guards closed, and signals against a Notify after Stop
	closed  bool
	signals chan os.Signal

	// The rest belongs to the goroutine, and to Watch before that begins.

	text       []byte       // content last tried, good or bad
	pending    []byte       // other content, seen once; nil if there is none
	seen       stamp        // of the file when text was read
	told       string       // the error last told, "" after a success
	unreadable bool         // the last look found no content
	retry      retry        // of an apply that failed
	waiting    []chan error // for the reading under way
	next       []chan error // for the one after it
}

// Watch puts the policy file in force by apply, usually Middleware.Swap, and does so again
// whenever the file changes. A change counts once two looks find the same content, so
// that half a file is not taken for a policy; Reload and the signals of ReloadOn do not
// wait for that. A new policy that cannot be leaves the old one in force and is told to
// Options.OnReload; if only apply failed, it is tried again, ever more seldom. If the
// file is wrong from the start, Watch returns the error and watches nothing.
//
// A file system that does not answer (an unreachable server's) stops neither Reload nor
// Close: it is told as [ErrNoAnswer], and waited for aside.
func Watch(path string, o Options, apply func(middleware.Policy) error) (*Watcher, error) {
	return watch(path, o, apply, look)
}

// watch is Watch with a file system of a test's.
func watch(path string, o Options, apply func(middleware.Policy) error, look lookFunc) (*Watcher, error) {
	if o.Every <= 0 {
		o.Every = everyDefault
	}
	w := &Watcher{
		path: path, options: o, apply: apply, reader: newReader(path, look),
		requests: make(chan chan error), done: make(chan struct{}), signals: make(chan os.Signal, 1),
	}
	first := w.reader.first(path)
	err := first.err
	if err == nil {
		w.seen = first.stamp
		err = w.try(first.text)
	}
	if err != nil {
		w.reader.end()
		return nil, err
	}
	w.wg.Go(w.follow)
	return w, nil
}

// Reload puts the file in force at once, changed or not. The error, which OnReload hears
// as well, says why the old policy stays.
func (w *Watcher) Reload() error {
	answer := make(chan error, 1)
	select {
	case w.requests <- answer:
		return <-answer
	case <-w.done:
		return ErrClosed
	}
}

// ReloadOn does what Reload does on every one of these signals, such as SIGHUP, until
// Close. From Close on a signal has the effect again that it has without: that of SIGHUP
// is to end the process, so close the watcher last.
func (w *Watcher) ReloadOn(signals ...os.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed && len(signals) > 0 { // none would mean all
		signal.Notify(w.signals, signals...)
	}
}

// Close ends the watch and waits for its goroutine. The policy stays in force.
func (w *Watcher) Close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		signal.Stop(w.signals)
		close(w.done)
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// follow looks at the file until Close. One goroutine does all parsing and applying, so
// that two changes cannot be put in force in the wrong order; it never waits for the
// file system.
func (w *Watcher) follow() {
	defer w.reader.end()
	tick := time.NewTicker(w.options.Every)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			w.answer(ErrClosed)
			return
		case answer := <-w.requests:
			w.reload(answer)
		case <-w.signals:
			w.reload(make(chan error, 1))
		case <-tick.C:
			if !w.reader.busy {
				w.reader.ask(w.seen)
			}
		case <-w.reader.late.C:
			w.unreadable = true
			w.waiting = append(w.waiting, w.next...)
			w.next = nil
			w.answer(w.report(fmt.Errorf("policyfile: %s: %w", w.path, ErrNoAnswer)))
		case r := <-w.reader.readings:
			w.reader.free()
			w.answer(w.judge(r, len(w.waiting) > 0))
			if len(w.next) > 0 {
				w.waiting, w.next = w.next, nil
				w.reader.ask(stamp{})
			}
		}
	}
}

// reload has the file read for somebody who waits. A reading that is under way may have
// begun before the file was what they mean, so they wait for one of their own.
func (w *Watcher) reload(answer chan error) {
	if w.reader.busy {
		w.next = append(w.next, answer)
		return
	}
	w.waiting = append(w.waiting, answer)
	w.reader.ask(stamp{})
}

// answer tells all who wait in Reload for the reading under way.
func (w *Watcher) answer(err error) {
	for _, c := range w.waiting {
		c <- err
	}
	w.waiting = nil
}

// judge decides what a reading means: nothing new, something new that may still be half
// written, or something that two looks have found. If somebody waits for it, it counts
// at once.
func (w *Watcher) judge(r reading, force bool) error {
	if r.err != nil {
		w.pending, w.unreadable = nil, true
		return w.report(r.err)
	}
	back := w.unreadable
	w.unreadable = false
	old := r.unchanged || bytes.Equal(r.text, w.text)
	if !old && !force && !bytes.Equal(r.text, w.pending) {
		w.pending = r.text
		return nil
	}
	w.pending = nil
	if !r.unchanged {
		w.seen = r.stamp
	}
	if old {
		// Whoever has heard that the file cannot be read hears that it can be again.
		if !force && !back && !w.retry.due() {
			return nil
		}
		r.text = w.text
	} else {
		w.retry, w.told = retry{}, "" // new content, new error
	}
	err := w.try(r.text)
	if err != nil {
		return w.report(err)
	}
	w.told = ""
	w.tell(nil)
	return nil
}

// try parses and applies. Nothing has changed unless both succeed.
func (w *Watcher) try(text []byte) error {
	w.text = text
	p, err := parseFile(w.path, text, w.options)
	if err != nil {
		return err // the same text will not do better
	}
	if err := w.apply(p); err != nil {
		w.retry.later()
		return err
	}
	w.retry = retry{}
	return nil
}

// report tells an error, but not the same one at every look.
func (w *Watcher) report(err error) error {
	if text := err.Error(); len(w.waiting) > 0 || text != w.told {
		w.told = text
		w.tell(err)
	}
	return err
}

// tell calls OnReload, on the goroutine that follows the file.
func (w *Watcher) tell(err error) {
	if w.options.OnReload != nil {
		w.options.OnReload(err)
	}
}

// retry says when something that failed is tried again: after 1 look, then after 2, 4 and
// so on to 64. The zero value is never due.
type retry struct{ every, left int }

func (r *retry) later() {
	r.every = min(max(1, 2*r.every), 64)
	r.left = r.every
}

func (r *retry) due() bool {
	r.left--
	return r.every > 0 && r.left <= 0
}
