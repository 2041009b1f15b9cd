//go:build unix

package policyfile

import (
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/middleware"
)

// irregular are paths that lead to no regular file, by what they lead to.
func irregular(t *testing.T, dir string) map[string]string {
	fifo, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	toFIFO, toDir := filepath.Join(dir, "to-fifo"), filepath.Join(dir, "to-dir")
	require.NoError(t, os.Symlink(fifo, toFIFO))
	require.NoError(t, os.Symlink(dir, toDir))
	return map[string]string{
		"a FIFO": fifo, "a link to a FIFO": toFIFO, "a socket": socket, "a directory": dir, "a link to a directory": toDir,
		"an endless device": "/dev/zero", "an empty device": "/dev/null", "a terminal's device": "/dev/ptmx",
	}
}

// A FIFO that takes the file's place after the path was looked at does not hang the open.
func TestOpenDoesNotWait(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	_, err := open(fifo)
	assert.ErrorIs(t, err, ErrNotRegular)
}

// A signal does what Reload does, until Close.
func TestReloadOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(quota string) {
		require.NoError(t, os.WriteFile(path, []byte("default: [{name: a, quota: "+quota+", window: 1s}]\n"), 0o600))
	}
	write("1")
	told := make(chan error, 10)
	quotas := make(chan int64, 10)
	w, err := Watch(path, Options{Every: time.Hour, OnReload: func(err error) { told <- err }}, func(p middleware.Policy) error {
		quotas <- p.Default[0].Limit.Quota
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, int64(1), <-quotas)
	w.ReloadOn() // no signal, and not all of them
	other := make(chan os.Signal, 1)
	signal.Notify(other, syscall.SIGWINCH)
	defer signal.Stop(other)
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGWINCH))
	<-other
	for range 3 { // time for a signal that did too much to be seen
		require.NoError(t, w.Reload())
		require.NoError(t, <-told)
		assert.Equal(t, int64(1), <-quotas)
	}
	assert.Empty(t, told)
	w.ReloadOn(syscall.SIGUSR1)
	w.ReloadOn(syscall.SIGHUP)
	for _, s := range []struct {
		signal syscall.Signal
		quota  string
		want   int64
	}{{syscall.SIGHUP, "2", 2}, {syscall.SIGUSR1, "3", 3}, {syscall.SIGHUP, "3", 3}} {
		write(s.quota)
		require.NoError(t, syscall.Kill(os.Getpid(), s.signal))
		require.NoError(t, <-told)
		assert.Equal(t, s.want, <-quotas)
	}
	write("many")
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	require.ErrorIs(t, <-told, middleware.ErrPolicy)
	w.Close()
	w.ReloadOn(syscall.SIGHUP) // does nothing
	assert.Empty(t, w.signals)
}

// Guard is a middleware that follows its file.
func TestGuard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	l := limiter.NewLocal(limiter.Config{})
	_, _, err := Guard(l, path, Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("default: []\n"), 0o600))
	_, _, err = Guard(l, path, Options{})
	require.ErrorIs(t, err, middleware.ErrPolicy)
	require.NoError(t, os.WriteFile(path, Reference(), 0o600))
	_, _, err = Guard(nil, path, Options{})
	require.ErrorContains(t, err, "the limiter is nil")

	m, w, err := Guard(l, path, Options{Every: time.Hour})
	require.NoError(t, err)
	defer w.Close()
	assert.Equal(t, "100", limitShown(m))
	require.NoError(t, os.WriteFile(path, []byte("default: [{name: default, quota: 7, window: 1m}]\n"), 0o600))
	require.NoError(t, w.Reload())
	assert.Equal(t, "7", limitShown(m))
}
