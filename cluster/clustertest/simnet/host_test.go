package simnet

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What package cluster asks of a network. It is repeated here, not imported: the
// simulation knows nothing of who uses it.
var _ interface {
	Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
} = (*Host)(nil)

func TestListen(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		_, _, err := w.b.Listen(context.Background(), echoAddr)
		assert.ErrorIs(t, err, syscall.EADDRINUSE)
		_, _, err = w.a.Listen(context.Background(), echoAddr)
		assert.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		_, _, err = w.a.Listen(context.Background(), "nonsense")
		assert.Error(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, _, err = w.a.Listen(ctx, "10.0.0.1:0")
		assert.ErrorIs(t, err, context.Canceled)

		l1, p1 := w.listen(w.a, "10.0.0.1:0")
		l2, _ := w.listen(w.a, "10.0.0.1:0")
		assert.Equal(t, l1.Addr().String(), p1.LocalAddr().String(), "one port for both")
		assert.NotEqual(t, l1.Addr().String(), l2.Addr().String())
		l3, _ := w.listen(w.a, "0.0.0.0:80")
		assert.Equal(t, "0.0.0.0:80", l3.Addr().String())
		w.dial(w.c, "10.0.0.1:80")

		// The port is free once both halves are closed, and not before.
		addr := l1.Addr().String()
		require.NoError(t, l1.Close())
		_, _, err = w.a.Listen(context.Background(), addr)
		assert.ErrorIs(t, err, syscall.EADDRINUSE)
		require.NoError(t, p1.Close())
		w.listen(w.a, addr)
	})
}

func TestAcceptAfterClose(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		l, _ := w.listen(w.c, "10.0.0.3:7")
		c := w.dial(w.a, "10.0.0.3:7") // never accepted
		require.NoError(t, l.Close())
		_, err := l.Accept()
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.ErrorIs(t, l.Close(), net.ErrClosed)
		_, _, err = readOne(c, time.Second)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = w.a.Dial(context.Background(), "10.0.0.3:7")
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestAcceptQueueFull(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		l, _ := w.listen(w.c, "10.0.0.3:7")
		for range backlog {
			w.dial(w.a, "10.0.0.3:7")
		}
		time.AfterFunc(2*time.Second, func() { _, _ = l.Accept() })
		start := time.Now()
		w.dial(w.a, "10.0.0.3:7")
		assert.Equal(t, 3*time.Second, time.Since(start), "the SYN that finds room is the one after 1 s + 2 s")
	})
}

func TestKillResetsAndRefuses(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_, err := far.Write([]byte("already on the wire"))
		require.NoError(t, err)
		w.b.Kill()
		w.b.Kill() // again does nothing
		got, took, err := readOne(near, time.Second)
		require.NoError(t, err)
		assert.Equal(t, "already on the wire", got)
		assert.Equal(t, lat, took)
		_, took, err = readOne(near, time.Second)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Zero(t, took)
		_, err = w.a.Dial(context.Background(), echoAddr)
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)

		// What is left of the process can do nothing more.
		_, err = far.Read(make([]byte, 1))
		assert.ErrorIs(t, err, net.ErrClosed)
		_, _, err = w.packets.ReadFrom(make([]byte, 1))
		assert.ErrorIs(t, err, net.ErrClosed)
		_, err = w.b.Dial(context.Background(), "10.0.0.1:1")
		assert.ErrorIs(t, err, net.ErrClosed)
		_, _, err = w.b.Listen(context.Background(), echoAddr)
		assert.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestKillEndsADialInProgress(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		w.Cut("a", "b")
		time.AfterFunc(10*time.Second, w.a.Kill)
		start := time.Now()
		_, err := w.a.Dial(context.Background(), echoAddr)
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.Equal(t, 10*time.Second, time.Since(start))
	})
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		w.Link("a", "b", 0, 0, 0)
		w.Link("b", "a", lat, 0, 0) // established there, the answer is on its way
		l, _ := w.listen(w.b, "10.0.0.2:7")
		time.AfterFunc(lat/2, w.a.Kill)
		_, err := w.a.Dial(context.Background(), "10.0.0.2:7")
		assert.ErrorIs(t, err, net.ErrClosed)
		far, err := l.Accept()
		require.NoError(t, err)
		_, _, err = readOne(far, time.Second)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestKillBehindACutIsNoticedWhenThePeerSends(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		near, _ := w.pair()
		w.Partition([]string{"a"}, []string{"b"})
		w.b.Kill()
		w.Heal()
		_, _, err := readOne(near, time.Minute)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "the reset was lost")
		_, _, err = ask(near, "x", time.Minute)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestCrashIsSilent(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_, err := far.Write([]byte("swallowed"))
		require.NoError(t, err)
		_, err = w.packets.WriteTo([]byte("swallowed"), udp("10.0.0.1:1"))
		require.NoError(t, err)
		w.b.Crash()
		_, took, err := readOne(near, time.Minute)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Minute, took)
		_, _, err = ask(near, "x", time.Minute)
		assert.ErrorIs(t, err, syscall.ETIMEDOUT)

		// The crashed side's leftovers hang and time out just the same.
		_, _, err = ask(far, "x", time.Minute)
		assert.ErrorIs(t, err, syscall.ETIMEDOUT)
		ctx, cancel := within(time.Second)
		defer cancel()
		_, err = w.b.Dial(ctx, "10.0.0.1:1")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestRestart(t *testing.T) {
	for name, end := range map[string]func(h *Host){
		"killed":  (*Host).Kill,
		"crashed": (*Host).Crash,
		"running": func(*Host) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
				near, _ := w.pair()
				end(w.b)
				again := w.b.Restart()
				defer again.Kill()
				_, _, err := w.packets.ReadFrom(nil)
				assert.ErrorIs(t, err, net.ErrClosed, "the old process has ended")
				l, p := w.listen(again, echoAddr)
				go echo(l)
				_, _, err = ask(near, "old stream", time.Minute)
				assert.ErrorIs(t, err, syscall.ECONNRESET)
				answer, _, err := ask(w.dial(w.a, echoAddr), "new", time.Second)
				require.NoError(t, err)
				assert.Equal(t, "new\n", answer)

				// It cannot speak for the new one either.
				_, err = w.packets.WriteTo([]byte("from the past"), udp("10.0.0.3:7"))
				assert.ErrorIs(t, err, net.ErrClosed)
				_, q := w.listen(w.c, "10.0.0.3:7")
				_, err = p.WriteTo([]byte("from the present"), udp("10.0.0.3:7"))
				require.NoError(t, err)
				assert.Equal(t, []string{"from the present"}, drainPackets(q))

				w.Cut("a", "b") // faults go by name
				ctx, cancel := within(time.Second)
				defer cancel()
				_, err = w.a.Dial(ctx, echoAddr)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		})
	}
}

func TestRestartOfACrashedHostAnswersRetransmissionsWithAReset(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		near, _ := w.pair()
		w.b.Crash()
		time.AfterFunc(time.Second, func() { w.b.Restart() })
		_, took, err := ask(near, "x", time.Minute)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Equal(t, 1400*time.Millisecond, took, "the third retransmission: after 0.2 s, 0.4 s and 0.8 s")
		assert.Contains(t, w.Stats().String(), "resets=1")
	})
}

func TestRestartElsewhere(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		assert.Panics(t, func() { w.Host("b", "10.0.0.9") }, "b still runs")
		assert.Panics(t, func() { w.Host("d", "10.0.0.2") }, "b has this address")
		w.b.Crash()
		moved := w.Host("b", "10.0.0.9")
		defer moved.Kill()
		assert.Equal(t, "b", moved.Name())
		assert.Equal(t, "10.0.0.9", moved.Addr().String())
		w.listen(moved, "10.0.0.9:9000")
		w.dial(w.a, "10.0.0.9:9000")
		ctx, cancel := within(time.Second)
		defer cancel()
		_, err := w.a.Dial(ctx, echoAddr)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "nobody is left at the old address")

		recycled := w.Host("d", "10.0.0.2")
		defer recycled.Kill()
		w.listen(recycled, echoAddr)
		w.dial(w.a, echoAddr)
	})
}

// Every kind of call that can wait, waiting, on healthy, cut, paused and crashed
// hosts. Killing the hosts, with no time passing, must end them all: if one stayed,
// synctest would panic.
func TestNoGoroutineOutlivesItsHosts(t *testing.T) {
	for name, fault := range map[string]func(w *world){
		"healthy": func(*world) {},
		"cut":     func(w *world) { w.Partition([]string{"a"}, []string{"b"}) },
		"paused":  func(w *world) { w.a.Pause(); w.b.Pause() },
		"crashed": func(w *world) { w.a.Crash(); w.b.Crash() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{Latency: lat, SendBuffer: 10}, func(t *testing.T, w *world) {
				near, far := w.pair()
				l, p := w.listen(w.a, "10.0.0.1:7")
				for _, c := range []net.Conn{near, far} {
					go func() { _, _ = c.Read(make([]byte, 1)) }()
					go func() { _, _ = c.Write(make([]byte, 1000)) }()
				}
				go func() { _, _ = l.Accept() }()
				go func() { _, _, _ = p.ReadFrom(nil) }()
				go func() { _, _ = w.a.Dial(context.Background(), "10.9.9.9:1") }()
				fault(w)
				synctest.Wait()
			})
		})
	}
}

// The same network in real time: nothing in it needs a bubble.
func TestOutsideABubble(t *testing.T) {
	w := newWorld(t, Options{Latency: time.Millisecond, Jitter: time.Millisecond})
	defer w.stop()
	answer, _, err := ask(w.dial(w.a, echoAddr), "hi", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, "hi\n", answer)

	_, p := w.listen(w.a, "10.0.0.1:0")
	_, err = p.WriteTo([]byte("packet"), udp(echoAddr))
	require.NoError(t, err)
	got, _, err := receive(w.packets, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, "packet", got)

	near, _ := w.pair()
	w.b.Kill()
	_, _, err = readOne(near, time.Minute)
	assert.True(t, errors.Is(err, syscall.ECONNRESET), "got %v", err)
}
