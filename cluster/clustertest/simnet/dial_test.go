package simnet

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDialOverACutHangsUntilItsContextEnds(t *testing.T) {
	for name, fault := range map[string]func(w *world){
		"there":   func(w *world) { w.Cut("a", "b") },
		"back":    func(w *world) { w.Cut("b", "a") },
		"crashed": func(w *world) { w.b.Crash() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
				fault(w)
				ctx, cancel := within(3 * time.Second)
				defer cancel()
				start := time.Now()
				_, err := w.a.Dial(ctx, echoAddr)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 3*time.Second, time.Since(start))
				var ne net.Error
				require.True(t, errors.As(err, &ne))
				assert.True(t, ne.Timeout())
			})
		})
	}
}

func TestDialFindsAMendedWireByTheNextSYN(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		w.Cut("a", "b")
		time.AfterFunc(1500*time.Millisecond, w.Heal)
		start := time.Now()
		w.dial(w.a, echoAddr)
		assert.Equal(t, 3*time.Second+2*lat, time.Since(start))
	})
}

func TestDialWhoseSYNIsCutOnItsWayTriesAgain(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		time.AfterFunc(lat/2, func() { w.Cut("a", "b") })
		time.AfterFunc(2*lat, w.Heal)
		start := time.Now()
		w.dial(w.a, echoAddr)
		assert.Equal(t, lat+time.Second+2*lat, time.Since(start))
	})
}

func TestDialFailures(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		start := time.Now()
		_, err := w.a.Dial(context.Background(), "10.0.0.2:1")
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.Equal(t, 2*lat, time.Since(start))

		start = time.Now()
		_, err = w.a.Dial(context.Background(), "10.9.9.9:9000")
		assert.ErrorIs(t, err, syscall.ETIMEDOUT, "nobody has this address")
		assert.Equal(t, 127*time.Second, time.Since(start))

		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(lat/2, cancel)
		_, err = w.a.Dial(ctx, echoAddr)
		assert.ErrorIs(t, err, context.Canceled)

		_, err = w.a.Dial(context.Background(), "not an address")
		assert.Error(t, err)
	})
}

func TestDialGivenUpOnTheWayBackClosesTheStream(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		l, _ := w.listen(w.c, "10.0.0.3:7")
		ctx, cancel := within(lat + lat/2)
		defer cancel()
		_, err := w.a.Dial(ctx, "10.0.0.3:7")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		c, err := l.Accept()
		require.NoError(t, err)
		_, _, err = readOne(c, time.Second)
		assert.ErrorIs(t, err, io.EOF)
	})
}
