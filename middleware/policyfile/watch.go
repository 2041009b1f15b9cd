package policyfile

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/weir-go/weir/middleware"
)

// everyDefault is how often a file is looked at unless told otherwise.
const everyDefault = time.Second

// racy is how old a file must have been when it was read for its size and time of change
// to vouch for its content: file systems count time in steps, and two changes within
// one step look like one.
const racy = 2 * time.Second

// ErrClosed is what Reload returns after Close.
var ErrClosed = errors.New("policyfile: the watcher is closed")

// Watcher puts a policy file in force and follows its changes, with one goroutine that
// asks the file system for size and time of change. It needs no notification service,
// so it also sees mounted and replaced files. It is safe for concurrent use.
type Watcher struct {
	path    string
	options Options
	apply   func(middleware.Policy) error

	requests chan chan error // from Reload
	done     chan struct{}
	stop     func() // closes done, once
	wg       sync.WaitGroup

	// The rest belongs to the goroutine.

	text    []byte // content last tried, good or bad
	problem string // error of the last attempt to read, or ""
	seen    state  // of the file when text was read
	pending state  // of a change seen once
}

// state is what can be known of a file without reading it.
type state struct {
	info os.FileInfo
	racy bool // changed too recently for info to vouch for the content
}

// same reports whether nothing can have changed between two looks.
func (s state) same(t state) bool {
	return s.info != nil && t.info != nil && os.SameFile(s.info, t.info) &&
		s.info.Size() == t.info.Size() && s.info.ModTime().Equal(t.info.ModTime())
}

// Watch puts the policy file in force by apply, usually Middleware.Swap, and does so again
// whenever the file changes. A change counts once the file has stayed the same for one
// look, so that half a file is not taken for a policy. A new policy that cannot be
// leaves the old one in force and is told to Options.OnReload. If the file is wrong
// from the start, Watch returns the error and watches nothing.
func Watch(path string, o Options, apply func(middleware.Policy) error) (*Watcher, error) {
	if o.Every <= 0 {
		o.Every = everyDefault
	}
	w := &Watcher{
		path: path, options: o, apply: apply, requests: make(chan chan error), done: make(chan struct{}),
	}
	w.seen = w.look()
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	w.text = text
	if err := w.put(text); err != nil {
		return nil, err
	}
	w.stop = sync.OnceFunc(func() { close(w.done) })
	w.wg.Go(w.follow)
	return w, nil
}

// Reload puts the file in force at once, changed or not, as on SIGHUP. The error, which
// OnReload hears as well, says why the old policy stays.
func (w *Watcher) Reload() error {
	answer := make(chan error, 1)
	select {
	case w.requests <- answer:
		return <-answer
	case <-w.done:
		return ErrClosed
	}
}

// Close ends the watch and waits for its goroutine. The policy stays in force.
func (w *Watcher) Close() {
	w.stop()
	w.wg.Wait()
}

// follow looks at the file until Close. One goroutine does all reading and applying, so
// that two changes cannot be put in force in the wrong order.
func (w *Watcher) follow() {
	tick := time.NewTicker(w.options.Every)
	defer tick.Stop()
	for {
		select {
		case <-w.done:
			return
		case answer := <-w.requests:
			answer <- w.reload(true)
		case <-tick.C:
			w.check()
		}
	}
}

// check is one look: nothing new, something new that may still be half written, or
// something that has stayed the same since the last look.
func (w *Watcher) check() {
	now := w.look()
	if now.same(w.seen) && !w.seen.racy {
		return
	}
	if !now.same(w.seen) && !now.same(w.pending) && now.info != nil {
		w.pending = now // somebody may still be writing
		return
	}
	_ = w.reload(false) // OnReload has heard of it
}

// look asks the file system. A file that is not there has no info.
func (w *Watcher) look() state {
	info, err := os.Stat(w.path)
	if err != nil {
		return state{}
	}
	return state{info: info, racy: info.ModTime().After(time.Now().Add(-racy))}
}

// reload reads the file and puts it in force; unless forced, only if what it reads is
// not what it read before.
func (w *Watcher) reload(force bool) error {
	seen := w.look()
	text, err := read(w.path)
	if err != nil {
		if again := err.Error() == w.problem; again && !force {
			return err // told already
		}
		w.problem = err.Error()
		w.tell(err)
		return err
	}
	back := w.problem != ""
	w.seen, w.pending, w.problem = seen, state{}, ""
	if !force && !back && bytes.Equal(text, w.text) {
		return nil
	}
	w.text = text
	err = w.put(text)
	w.tell(err)
	return err
}

// put parses and applies. Nothing has changed unless both succeed.
func (w *Watcher) put(text []byte) error {
	p, err := parseFile(w.path, text, w.options)
	if err != nil {
		return err
	}
	return w.apply(p)
}

// tell calls OnReload, on the goroutine that follows the file.
func (w *Watcher) tell(err error) {
	if w.options.OnReload != nil {
		w.options.OnReload(err)
	}
}
