package simnet

import (
	"errors"
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

func TestStreamRoundTrip(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		start := time.Now()
		c := w.dial(w.a, echoAddr)
		assert.Equal(t, 2*lat, time.Since(start), "dial")
		answer, took, err := ask(c, "hi", time.Second)
		require.NoError(t, err)
		assert.Equal(t, "hi\n", answer)
		assert.Equal(t, 2*lat, took)
		assert.Equal(t, echoAddr, c.RemoteAddr().String())
		assert.Equal(t, "tcp", c.LocalAddr().Network())
	})
}

func TestStreamCloseIsEOFAfterTheBytes(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_, err := near.Write([]byte("last words"))
		require.NoError(t, err)
		require.NoError(t, near.Close())
		require.ErrorIs(t, near.Close(), net.ErrClosed)
		all, err := io.ReadAll(far)
		require.NoError(t, err)
		assert.Equal(t, "last words", string(all))

		_, err = far.Write([]byte("to nobody"))
		require.NoError(t, err, "the first write cannot know yet")
		_, took, err := readOne(far, time.Second)
		assert.ErrorIs(t, err, io.EOF)
		assert.Zero(t, took)
		time.Sleep(3 * lat)
		_, err = far.Write([]byte("again"))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestStreamCloseWithUnreadBytesResets(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_, err := near.Write([]byte("unread"))
		require.NoError(t, err)
		time.Sleep(2 * lat)
		require.NoError(t, far.Close())
		_, took, err := readOne(near, time.Second)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Equal(t, lat, took)
	})
}

// A question in flight when the wire is cut for a while. A real Linux kernel answered
// after 0.42, 1.69, 3.33, 6.84, 13.35 and 26.61 s.
func TestStreamAfterHealWaitsForRetransmission(t *testing.T) {
	for _, k := range []struct{ cut, answered time.Duration }{
		{300 * time.Millisecond, 600 * time.Millisecond},
		{1 * time.Second, 1400 * time.Millisecond},
		{2 * time.Second, 3 * time.Second},
		{4 * time.Second, 6200 * time.Millisecond},
		{7 * time.Second, 12600 * time.Millisecond},
		{14 * time.Second, 25400 * time.Millisecond},
	} {
		inBubble(t, Options{Latency: time.Millisecond, UserTimeout: -1}, func(t *testing.T, w *world) {
			c := w.dial(w.a, echoAddr)
			w.Partition([]string{"a"}, []string{"b"})
			time.AfterFunc(k.cut, w.Heal)
			answer, took, err := ask(c, "x", time.Hour)
			require.NoError(t, err)
			assert.Equal(t, "x\n", answer)
			// Lost on arrival, sent again, and back: three times the latency.
			assert.Equal(t, k.answered+3*time.Millisecond, took, "cut for %v", k.cut)

			_, took, err = ask(c, "y", time.Hour)
			require.NoError(t, err)
			assert.Equal(t, 2*time.Millisecond, took, "healthy again")
		})
	}
}

func TestStreamNegativeRTOArrivesAtTheHeal(t *testing.T) {
	inBubble(t, Options{Latency: lat, UserTimeout: -1, RTO: -1}, func(t *testing.T, w *world) {
		c := w.dial(w.a, echoAddr)
		w.Cut("a", "b")
		time.AfterFunc(7*time.Second, func() { w.Mend("a", "b") })
		answer, took, err := ask(c, "x", time.Hour)
		require.NoError(t, err)
		assert.Equal(t, "x\n", answer)
		assert.Equal(t, 7*time.Second+2*lat, took)
	})
}

func TestStreamStaleAnswerComesFirst(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		c := w.dial(w.a, echoAddr)
		w.Partition([]string{"a"}, []string{"b"})
		_, took, err := ask(c, "one", time.Second)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Second, took)
		w.Heal()
		answer, _, err := ask(c, "two", time.Second)
		require.NoError(t, err)
		assert.Equal(t, "one\n", answer)
	})
}

func TestStreamUserTimeout(t *testing.T) {
	for name, cut := range map[string]func(w *world){
		"both ways":     func(w *world) { w.Partition([]string{"a"}) },
		"way there":     func(w *world) { w.Cut("a", "b") },
		"way back only": func(w *world) { w.Cut("b", "a") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
				c := w.dial(w.a, echoAddr)
				cut(w)
				_, took, err := ask(c, "x", time.Minute)
				assert.ErrorIs(t, err, syscall.ETIMEDOUT)
				assert.Equal(t, 2*time.Second+lat, took, "the default")
				var ne net.Error
				require.True(t, errors.As(err, &ne))
				assert.True(t, ne.Timeout())
			})
		})
	}
}

func TestStreamGivesUpWithoutUserTimeout(t *testing.T) {
	inBubble(t, Options{UserTimeout: -1}, func(t *testing.T, w *world) {
		c := w.dial(w.a, echoAddr)
		w.Cut("a", "b")
		_, took, err := ask(c, "x", 24*time.Hour)
		assert.ErrorIs(t, err, syscall.ETIMEDOUT)
		assert.InDelta(t, 15*time.Minute, took, float64(2*time.Minute))
	})
}

func TestStreamIdleNoticesACutOnlyByKeepAlive(t *testing.T) {
	for _, k := range []struct {
		alive time.Duration
		want  error
		took  time.Duration
	}{
		{0, os.ErrDeadlineExceeded, time.Hour},
		{3 * time.Second, syscall.ETIMEDOUT, 3 * time.Second},
	} {
		inBubble(t, Options{KeepAlive: k.alive}, func(t *testing.T, w *world) {
			near, _ := w.pair()
			w.Cut("b", "a")
			time.Sleep(2 * time.Second)
			w.Heal() // in time: the next cut starts from zero
			w.Cut("b", "a")
			_, took, err := readOne(near, time.Hour)
			assert.ErrorIs(t, err, k.want)
			assert.Equal(t, k.took, took)
		})
	}
}

func TestStreamOneWayCut(t *testing.T) {
	inBubble(t, Options{Latency: lat, UserTimeout: -1}, func(t *testing.T, w *world) {
		near, far := w.pair()
		w.Cut("b", "a")
		_, err := near.Write([]byte("there"))
		require.NoError(t, err)
		got, took, err := readOne(far, time.Second)
		require.NoError(t, err)
		assert.Equal(t, "there", got)
		assert.Equal(t, lat, took)

		_, err = far.Write([]byte("back"))
		require.NoError(t, err)
		_, _, err = readOne(near, time.Second)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)

		w.Mend("b", "a")
		got, _, err = readOne(near, time.Second)
		require.NoError(t, err)
		assert.Equal(t, "back", got)
	})
}

func TestStreamBackpressure(t *testing.T) {
	inBubble(t, Options{SendBuffer: 1000}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := near.Write(make([]byte, 5000)) // far does not read
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 1000, k)

		_ = near.SetWriteDeadline(time.Time{})
		go func() { _, _ = near.Write(make([]byte, 4000)) }()
		_, err = io.ReadFull(far, make([]byte, 5000))
		assert.NoError(t, err, "the window opens as far reads")
	})
}

func TestStreamDeadlines(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		near, far := w.pair()
		_, took, err := readOne(near, time.Second)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, time.Second, took)

		// Pushed ahead while a read waits, then pulled in: both count.
		start := time.Now()
		_ = near.SetReadDeadline(start.Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { _ = near.SetReadDeadline(start.Add(time.Hour)) })
		time.AfterFunc(3*time.Second, func() { _ = near.SetReadDeadline(start.Add(4 * time.Second)) })
		_, err = near.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		assert.Equal(t, 4*time.Second, time.Since(start))

		// Cleared: the stream is as good as before.
		_ = near.SetDeadline(time.Time{})
		time.AfterFunc(time.Hour, func() { _, _ = far.Write([]byte("late")) })
		b := make([]byte, 10)
		k, err := near.Read(b)
		require.NoError(t, err)
		assert.Equal(t, "late", string(b[:k]))

		_ = near.SetDeadline(time.Now())
		_, err = near.Write([]byte("x"))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

func TestStreamCloseEndsCallsInProgress(t *testing.T) {
	inBubble(t, Options{SendBuffer: 10}, func(t *testing.T, w *world) {
		near, _ := w.pair()
		errs := make(chan error, 2)
		go func() { _, err := near.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := near.Write(make([]byte, 11)); errs <- err }()
		synctest.Wait()
		require.NoError(t, near.Close())
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		assert.ErrorIs(t, <-errs, net.ErrClosed)
		assert.ErrorIs(t, near.SetDeadline(time.Time{}), net.ErrClosed)
	})
}
