package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCallDoesNotAllocate counts both sides, which are in this process.
func TestCallDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	peer := newTCPPair(t, Config{}, echoHandler{})
	m := &echo{body: make([]byte, 32)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), ctx} {
		per := testing.AllocsPerRun(2000, func() {
			if err := peer.Call(ctx, in(5*time.Second), 1, m); err != nil {
				t.Error(err)
			}
		})
		assert.Less(t, per, 0.1, "per Call")
	}
	done := make(chan error, 1)
	signal := func(err error) { done <- err }
	per := testing.AllocsPerRun(2000, func() {
		if err := errors.Join(peer.Start(in(5*time.Second), 1, m, signal), <-done); err != nil {
			t.Error(err)
		}
	})
	assert.Less(t, per, 0.1, "per Start")
}

func TestFailingFastDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	peer, err := NewPeer(Config{Dial: func(context.Context, string) (net.Conn, error) {
		return nil, errors.New("no route")
	}}, "there", noHello, nil)
	require.NoError(t, err)
	defer peer.Close()
	for range 12 { // into a backoff that outlasts the test
		peer.mu.Lock()
		peer.failedLocked(errors.New("no route"))
		peer.mu.Unlock()
	}
	m := &echo{}
	per := testing.AllocsPerRun(100, func() {
		if !errors.Is(peer.Call(context.Background(), in(time.Second), 1, m), ErrUnreachable) {
			t.Error("it got through")
		}
	})
	assert.Less(t, per, 0.1)
}

// TestManyCallersOnARealSocket checks that every caller gets its own answer, while
// some do not wait for theirs, some answers come late, and the connection is broken
// again and again.
func TestManyCallersOnARealSocket(t *testing.T) {
	for name, secret := range map[string]string{"plain": "", "tls": "sixteen bytes or more"} {
		t.Run(name, func(t *testing.T) {
			var late sync.WaitGroup
			peer := newTCPPair(t, Config{Secret: []byte(secret)}, funcHandler{serve: func(s *Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
				if kind != 2 {
					return append(buf, body...), true, nil
				}
				body = append([]byte(nil), body...)
				late.Go(func() { _ = s.Answer(id, body, nil) })
				return nil, false, nil
			}})
			var callers sync.WaitGroup
			var good atomic.Int64
			for w := range 32 {
				callers.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(w), 1))
					m := &echo{body: make([]byte, 8)}
					for i := range 300 {
						binary.BigEndian.PutUint64(m.body, uint64(w)<<32|uint64(i))
						ctx, cancel := context.WithCancel(context.Background())
						if rnd.IntN(10) == 0 {
							go cancel()
						}
						err := peer.Call(ctx, in(5*time.Second), uint8(1+rnd.IntN(2)), m)
						cancel()
						if err == nil {
							good.Add(1)
							assert.Equal(t, m.body, m.answer)
						} else if _, ok := err.(*CallError); !ok {
							assert.Fail(t, "not a CallError", "%v", err)
						}
						if w == 0 && i%100 == 99 {
							if c := peer.conn.Load(); c != nil {
								_ = c.raw.Close()
							}
						}
					}
				})
			}
			callers.Wait()
			late.Wait()
			assert.Greater(t, good.Load(), int64(32*300/2))
		})
	}
}

func TestSocketOptionsAreSet(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	addr := serveTCP(t, func(c net.Conn) { accepted <- c })
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	tuneSocket(c)
	assertTuned(t, c.(*net.TCPConn))
	other := <-accepted
	tuneSocket(tls.Server(other, nil)) // found underneath
	assertTuned(t, other.(*net.TCPConn))
	_, _ = c.Close(), other.Close()
}
