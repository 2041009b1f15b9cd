//go:build unix

package policyfile

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
)

// A file system that does not answer holds up nobody but the goroutine that asks it.
func TestAFileSystemThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Pointer[chan struct{}] // nil while the file system answers
		hang := func() chan struct{} {
			c := make(chan struct{})
			hangs.Store(&c)
			return c
		}
		look := func(string, stamp) reading {
			if c := hangs.Load(); c != nil {
				<-*c
			}
			return reading{content: content{text: Reference()}}
		}
		var told []error
		o := Options{OnReload: func(err error) { told = append(told, err) }}
		applied := 0
		apply := func(middleware.Policy) error { applied++; return nil }
		w, err := watch("p", o, apply, look)
		require.NoError(t, err)
		synctest.Wait()
		answers := hang()

		began := time.Now()
		require.ErrorIs(t, w.Reload(), ErrNoAnswer)
		assert.Equal(t, answerMax, time.Since(began))
		both := make(chan error, 2)
		for range 2 { // one more reading would hang as well
			go func() { both <- w.Reload() }()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, told, 1, "told once")
		assert.Equal(t, 1, applied)

		close(answers) // again
		require.NoError(t, <-both)
		require.NoError(t, <-both)
		assert.Len(t, told, 3, "that it is back, and of the reload of both")
		assert.Equal(t, 3, applied)

		answers = hang()
		go func() { both <- w.Reload() }()
		time.Sleep(time.Second)
		began = time.Now()
		w.Close()
		assert.ErrorIs(t, <-both, ErrClosed)
		assert.Zero(t, time.Since(began), "Close does not wait for it")
		close(answers)

		answers = hang()
		_, err = watch("p", o, apply, look)
		assert.ErrorIs(t, err, ErrNoAnswer, "at the start")
		close(answers)
	})
}

// What Watch could put in force but apply refused is tried again, ever more seldom, until
// it works or the file says something else.
func TestAnApplyThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := string(Reference())
		broken := errors.New("broken")
		var fails error
		var at []time.Duration
		var told []error
		var mu sync.Mutex // held by the test but while it waits
		mu.Lock()
		defer mu.Unlock()
		waiting := func(f func()) {
			mu.Unlock()
			f()
			synctest.Wait()
			mu.Lock()
		}
		look := func(string, stamp) reading {
			mu.Lock()
			defer mu.Unlock()
			return reading{content: content{text: []byte(text)}}
		}
		began := time.Now()
		var w *Watcher
		var err error
		waiting(func() {
			w, err = watch("p", Options{OnReload: func(err error) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, err)
			}}, func(middleware.Policy) error {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(began)/time.Second)
				return fails
			}, look)
		})
		require.NoError(t, err)
		defer waiting(func() { w.Close() })

		pass := func(d time.Duration) (tries []time.Duration) {
			waiting(func() { time.Sleep(d) })
			tries, at = at, nil
			return tries
		}
		assert.Equal(t, []time.Duration{0}, pass(9500*time.Millisecond))

		fails, text = broken, text+"# changed\n"
		assert.Equal(t, []time.Duration{11, 12, 14, 18, 26, 42, 74, 138, 202}, pass(200*time.Second))
		assert.Equal(t, []error{broken}, told, "told once")

		fails = errors.New("otherwise")
		assert.Equal(t, []time.Duration{266}, pass(64*time.Second))
		assert.Equal(t, []error{broken, fails}, told)

		waiting(func() { err = w.Reload() })
		require.ErrorIs(t, err, fails, "Reload tries at once")
		assert.Len(t, told, 3, "and tells")
		text += "# again\n"
		assert.Len(t, pass(3*time.Second), 3, "the Reload; and new content is tried at once and soon again")

		fails = nil
		assert.Len(t, pass(time.Minute), 1)
		assert.NoError(t, told[len(told)-1])
		assert.Empty(t, pass(time.Hour), "what is in force is not put in force again")

		fails, text = broken, "default: ["
		pass(time.Minute)
		n := len(told)
		assert.ErrorContains(t, told[n-1], "p:1: did not find expected node")
		assert.Empty(t, pass(time.Hour), "a text that is wrong will not do better")
		assert.Len(t, told, n)
	})
}

// Only regular files are read, and nothing else holds up a start, a look or a Reload.
func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	require.NoError(t, os.WriteFile(good, Reference(), 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(good, link))
	_, err := Load(link, Options{})
	require.NoError(t, err, "a link to a file is a file, as a mounted one is")

	apply := func(middleware.Policy) error { return nil }
	for name, path := range irregular(t, dir) {
		_, err := Load(path, Options{})
		assert.ErrorIs(t, err, ErrNotRegular, name)
		assert.ErrorContains(t, err, path, name)
		_, err = Watch(path, Options{}, apply)
		assert.ErrorIs(t, err, ErrNotRegular, name)

		moved := filepath.Join(dir, "watched")
		require.NoError(t, os.WriteFile(moved, Reference(), 0o600))
		w, err := Watch(moved, Options{Every: time.Hour}, apply)
		require.NoError(t, err)
		require.NoError(t, os.Remove(moved))
		require.NoError(t, os.Symlink(path, moved))
		assert.ErrorIs(t, w.Reload(), ErrNotRegular, name)
		require.NoError(t, os.Remove(moved))
		require.NoError(t, os.Symlink(good, moved))
		assert.NoError(t, w.Reload(), "and goes on: %s", name)
		w.Close()
		require.NoError(t, os.Remove(moved))
	}
	_, err = Load(filepath.Join(dir, "none"), Options{})
	assert.ErrorIs(t, err, os.ErrNotExist)
}
