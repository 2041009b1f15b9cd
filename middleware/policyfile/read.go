package policyfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// racy is how old a file must have been when it was read for its size and time of change
// to vouch for its content: file systems count time in steps, and two changes within
// one step look like one.
const racy = 2 * time.Second

// answerMax is how long the file system may take.
const answerMax = 10 * time.Second

// ErrNotRegular is the error about a path that leads to a directory, a device, a socket or
// a FIFO: to open one of these may wait for ever, and to read it may never end.
var ErrNotRegular = errors.New("not a regular file")

// ErrNoAnswer is the error of a Watcher whose file system takes too long.
var ErrNoAnswer = errors.New("the file system has not answered for 10 s")

// content is a file as it was read once.
type content struct {
	text []byte
	stamp
}

// stamp is what can be known of a file without reading it, from before its content was
// read: a later change shows as a difference.
type stamp struct {
	info os.FileInfo // nil if nothing is known
	racy bool        // changed too recently to vouch for the content
}

// vouches reports whether nothing can have changed since the stamp was taken.
func (s stamp) vouches(now os.FileInfo) bool {
	return s.info != nil && !s.racy && os.SameFile(s.info, now) &&
		s.info.Size() == now.Size() && s.info.ModTime().Equal(now.ModTime())
}

// read reads a regular file, but not an endless one: what is too large fails in parse. The
// path is looked at before it is opened, as opening alone can do something to a
// device, and again after that, as it may have been replaced in between.
func read(path string) (content, error) {
	if _, err := regular(os.Stat(path)); err != nil {
		return content{}, fmt.Errorf("policyfile: %s: %w", path, err)
	}
	return open(path)
}

// open reads without waiting: for a FIFO that took the file's place nobody may ever come.
func open(path string) (content, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return content{}, fmt.Errorf("policyfile: %w", err)
	}
	defer f.Close()
	info, err := regular(f.Stat())
	if err != nil {
		return content{}, fmt.Errorf("policyfile: %s: %w", path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, sizeMax+1))
	if err != nil {
		return content{}, fmt.Errorf("policyfile: %w", err)
	}
	return content{text, stamp{info, info.ModTime().After(time.Now().Add(-racy))}}, nil
}

// regular passes on what the file system says of a file, if that is a regular one.
func regular(info os.FileInfo, err error) (os.FileInfo, error) {
	if err != nil {
		// The path is told by who calls.
		if e, ok := errors.AsType[*os.PathError](err); ok {
			err = e.Err
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is %s, %w", kindOf(info.Mode()), ErrNotRegular)
	}
	return info, nil
}

// kindOf is a word for what is not a regular file.
func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&os.ModeNamedPipe != 0:
		return "a FIFO"
	case m&os.ModeSocket != 0:
		return "a socket"
	case m&os.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// reading is one look at a file.
type reading struct {
	content
	unchanged bool // the stamp vouched for the content, so there is none
	err       error
}

// lookFunc looks at a file that was seen before, or never, which is the zero stamp.
type lookFunc func(path string, seen stamp) reading

// look reads a file unless its stamp vouches for it.
func look(path string, seen stamp) reading {
	if info, err := os.Stat(path); err == nil && seen.vouches(info) {
		return reading{unchanged: true}
	}
	c, err := read(path)
	return reading{content: c, err: err}
}

// reader looks at a file on a goroutine of its own, so that only this one waits for a file
// system that does not answer. It belongs to one other goroutine.
type reader struct {
	asks     chan stamp
	readings chan reading
	busy     bool
	late     *time.Timer // runs while busy
}

func newReader(path string, look lookFunc) *reader {
	r := &reader{asks: make(chan stamp, 1), readings: make(chan reading, 1), late: time.NewTimer(answerMax)}
	r.late.Stop()
	go func() {
		for seen := range r.asks {
			r.readings <- look(path, seen)
		}
	}()
	return r
}

// ask begins a reading; there must be none under way.
func (r *reader) ask(seen stamp) {
	r.busy = true
	r.late.Reset(answerMax)
	r.asks <- seen
}

// free is called after a reading came.
func (r *reader) free() {
	r.busy = false
	r.late.Stop()
}

// first waits for the first reading.
func (r *reader) first(path string) reading {
	r.ask(stamp{})
	select {
	case got := <-r.readings:
		r.free()
		return got
	case <-r.late.C:
		return reading{err: fmt.Errorf("policyfile: %s: %w", path, ErrNoAnswer)}
	}
}

// end lets the goroutine go. It is not waited for: it may be stuck in a reading.
func (r *reader) end() {
	r.late.Stop()
	close(r.asks)
}
