package simnet

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPauseHoldsReadersWhileTheKernelGoesOn(t *testing.T) {
	inBubble(t, Options{Latency: lat, PacketQueue: 2, SendBuffer: 100}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_, p := w.listen(w.a, "10.0.0.1:0")
		start := time.Now()
		read := make(chan time.Duration, 1)
		go func() { // in Read before the pause begins
			_, _ = io.ReadFull(far, make([]byte, 100))
			read <- time.Since(start)
		}()
		synctest.Wait()
		w.b.Pause()

		_ = near.SetWriteDeadline(start.Add(time.Second))
		k, err := near.Write(make([]byte, 200))
		assert.Equal(t, 100, k, "the buffers of a stopped process fill up")
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		for _, s := range []string{"1", "2", "3"} {
			_, err := p.WriteTo([]byte(s), udp(echoAddr))
			require.NoError(t, err)
		}
		late := w.dial(w.a, echoAddr)
		_, _, err = ask(late, "anybody?", 5*time.Second)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "accepted by the kernel, answered by nobody")

		time.Sleep(time.Minute - time.Since(start))
		w.b.Resume()
		assert.Equal(t, time.Minute, <-read)
		assert.Equal(t, []string{"1", "2"}, drainPackets(w.packets))
		assert.Equal(t, 1, w.Stats().QueueDrops)
		got, _, err := readOne(late, time.Second)
		require.NoError(t, err)
		assert.Equal(t, "anybody?\n", got)
	})
}

func TestPauseBlocksEveryCall(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		near, _ := w.pair()
		l, p := w.listen(w.a, "10.0.0.1:7")
		_ = near.SetDeadline(time.Now().Add(time.Second)) // not noticed in time
		ctx, cancel := within(time.Second)
		defer cancel()
		calls := map[string]func() error{
			"Read":     func() error { _, err := near.Read(make([]byte, 1)); return err },
			"Write":    func() error { _, err := near.Write(make([]byte, 1)); return err },
			"WriteTo":  func() error { _, err := p.WriteTo(nil, udp(echoAddr)); return err },
			"ReadFrom": func() error { _, _, err := p.ReadFrom(make([]byte, 1)); return err },
			"Accept":   func() error { _, err := l.Accept(); return err },
			"Dial":     func() error { _, err := w.a.Dial(ctx, echoAddr); return err },
			"Listen":   func() error { _, _, err := w.a.Listen(ctx, "10.0.0.1:8"); return err },
		}
		// Two calls would go on waiting after the resume: something is there for them.
		w.dial(w.c, "10.0.0.1:7")
		_, err := w.packets.WriteTo([]byte("x"), udp("10.0.0.1:7"))
		require.NoError(t, err)

		w.a.Pause()
		start := time.Now()
		type end struct {
			name string
			at   time.Duration
			err  error
		}
		ends := make(chan end, len(calls))
		for name, call := range calls {
			go func() { err := call(); ends <- end{name, time.Since(start), err} }()
		}
		time.AfterFunc(time.Minute, w.a.Resume)
		for range calls {
			e := <-ends
			assert.Equal(t, time.Minute, e.at, e.name)
			switch e.name {
			case "Read", "Write":
				assert.ErrorIs(t, e.err, os.ErrDeadlineExceeded, e.name)
			case "Dial":
				assert.ErrorIs(t, e.err, context.DeadlineExceeded)
			default:
				assert.NoError(t, e.err, e.name)
			}
		}
	})
}

func TestPauseDuringADialHoldsItsReturn(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		time.AfterFunc(lat/2, w.a.Pause)
		time.AfterFunc(time.Minute, w.a.Resume)
		start := time.Now()
		w.dial(w.a, echoAddr)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestPausedProcessCanBeCleanedUp(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		near, far := w.pair()
		l, _ := w.listen(w.a, "10.0.0.1:7")
		w.a.Pause()
		errs := make(chan error, 2)
		go func() { _, err := near.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := l.Accept(); errs <- err }()
		synctest.Wait()
		require.NoError(t, near.Close())
		require.NoError(t, l.Close())
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		_, _, err := readOne(far, time.Minute)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing leaves a stopped process")
		w.a.Resume()
		_, _, err = readOne(far, time.Minute)
		assert.ErrorIs(t, err, io.EOF)
	})
}

func TestKillAndCrashEndAPause(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		near, far := w.pair()
		w.a.Pause()
		errs := make(chan error, 1)
		go func() { _, err := near.Read(make([]byte, 1)); errs <- err }()
		synctest.Wait()
		w.a.Kill()
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		_, _, err := readOne(far, time.Minute)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		w.a.Pause() // a dead process cannot be paused
		_, err = w.a.Dial(context.Background(), echoAddr)
		assert.ErrorIs(t, err, net.ErrClosed)

		w.b.Pause()
		w.b.Crash()
		_, err = w.packets.WriteTo(nil, udp("10.0.0.3:7"))
		assert.NoError(t, err, "swallowed, not held")
	})
}
