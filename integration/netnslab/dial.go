//go:build linux

package netnslab

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial connects to a literal address as if from a host. The connection belongs to that
// host for ever, whichever goroutine uses it.
func (l *Lab) Dial(ctx context.Context, host int, addr string) (c net.Conn, err error) {
	err = l.inside(host, func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
		return err
	})
	return c, err
}

// Listen opens a port on a host.
func (l *Lab) Listen(host int, addr string) (ln net.Listener, err error) {
	err = l.inside(host, func() (err error) {
		ln, err = net.Listen("tcp", addr)
		return err
	})
	return ln, err
}

// inside runs f on a thread in a host's namespace. Goroutines that f starts do not run
// there: f must open its sockets itself, which net does for addresses without a name.
func (l *Lab) inside(host int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// A thread that cannot go home is never unlocked: it ends with this goroutine.
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		if err := enter("/run/netns/" + l.name(host)); err != nil {
			done <- err
			return
		}
		err = f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func enter(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("netnslab: enter %s: %w", path, err)
	}
	return nil
}
