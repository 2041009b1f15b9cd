package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ledger keeps requests that a handler leaves open, to be answered when a test likes.
type ledger struct {
	mu   sync.Mutex
	open []func(body []byte, failure error) error
	seen []string
}

// leaveOpen is a Serve function.
func (l *ledger) leaveOpen(s *Session, id uint64, _ uint8, body, _ []byte) ([]byte, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, string(body))
	l.open = append(l.open, func(body []byte, failure error) error { return s.Answer(id, body, failure) })
	return nil, false, nil
}

func (l *ledger) requests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.seen...)
}

func (l *ledger) answer(i int, body string) error {
	l.mu.Lock()
	answer := l.open[i]
	l.mu.Unlock()
	return answer([]byte(body), nil)
}

func sent(t *testing.T, err error) bool {
	t.Helper()
	ce, ok := err.(*CallError)
	require.True(t, ok, "%T %v", err, err)
	return ce.Sent
}

func TestCallFailuresOfTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: func(_ *Session, _ uint64, kind uint8, _, buf []byte) ([]byte, bool, error) {
			switch kind {
			case 1:
				return nil, true, errors.New("not the owner")
			case 2:
				return append(buf, make([]byte, MaxFrame)...), true, nil
			case 3:
				return nil, true, errors.New(strings.Repeat("x", 1<<20))
			}
			return buf, true, nil
		}})
		defer stop()
		kind := func(k uint8) error {
			return l.peer.Call(context.Background(), time.Time{}, k, &echo{})
		}
		err := kind(1)
		text, ok := errors.AsType[RemoteError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, RemoteError("not the owner"), text)
		assert.True(t, sent(t, err))
		assert.ErrorContains(t, kind(2), ErrTooLarge.Error())
		assert.ErrorContains(t, kind(3), "xxx")
		assert.NoError(t, kind(4), "all on one connection")
		assert.Equal(t, 1, l.net.dialled())
	})
}

// picky reads only answers that it likes.
type picky struct {
	echo
	err error
}

func (p *picky) ReadAnswer([]byte) error { return p.err }

func TestAnswerThatTheMessageCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		err := l.peer.Call(context.Background(), time.Time{}, 1, &picky{err: ErrEncoding})
		assert.ErrorIs(t, err, ErrEncoding)
		assert.True(t, sent(t, err))
		assert.NoError(t, l.call(), "the connection is still good")
	})
}

// openKind2 answers requests of kind 2 never, others at once.
func openKind2(_ *Session, _ uint64, kind uint8, _, buf []byte) ([]byte, bool, error) {
	return buf, kind != 2, nil
}

func TestTimeoutsAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: openKind2})
		defer stop()
		require.NoError(t, l.call())
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range 200 {
			d := time.Duration(1+(i*37)%97) * 1700 * time.Microsecond // in no order, some equal
			wg.Go(func() {
				err := l.peer.Call(context.Background(), begin.Add(d), 2, &echo{})
				assert.ErrorIs(t, err, ErrTimeout)
				assert.True(t, sent(t, err))
				assert.Equal(t, d, time.Since(begin))
			})
		}
		for range 400 { // something is heard all the time, so the connection is kept
			time.Sleep(500 * time.Microsecond)
			require.NoError(t, l.call())
		}
		wg.Wait()
		assert.EqualValues(t, 1, l.net.dialled())
	})
}

func TestShorterTimeoutAfterLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{CallTimeout: 7 * time.Second}, funcHandler{serve: book.leaveOpen})
		defer stop()
		begin := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			err := l.peer.Call(context.Background(), time.Time{}, 1, &echo{})
			assert.ErrorIs(t, err, ErrTimeout)
			assert.Equal(t, 7*time.Second, time.Since(begin), "CallTimeout")
		})
		synctest.Wait()
		for _, d := range []time.Duration{300, 20, 100} {
			from := time.Now()
			wg.Go(func() {
				err := l.peer.Call(context.Background(), from.Add(d*time.Millisecond), 1, &echo{})
				assert.ErrorIs(t, err, ErrTimeout)
				assert.Equal(t, d*time.Millisecond, time.Since(from))
			})
			synctest.Wait()
		}
		time.Sleep(10 * time.Millisecond)
		// Later than all of them were sent: whatever is late now, the peer is alive.
		require.NoError(t, l.peer.Start(in(time.Second), 1, &echo{}, func(error) {}))
		synctest.Wait()
		require.NoError(t, book.answer(4, ""))
		wg.Wait()

		err := l.peer.Call(context.Background(), in(-time.Millisecond), 1, &echo{})
		assert.ErrorIs(t, err, ErrTimeout)
		assert.False(t, sent(t, err), "too late from the start")
	})
}

// TestLateAnswerIsNobodysAnswer lets a call time out whose slot the next call uses.
func TestLateAnswerIsNobodysAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{MaxInFlight: 2}, funcHandler{serve: book.leaveOpen})
		defer stop()
		var slow error
		require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil), "not connected yet")
		synctest.Wait()
		require.NoError(t, l.peer.Start(in(time.Second), 1, &echo{body: []byte("alive")}, func(error) {}))
		first := &echo{body: []byte("first")}
		require.NoError(t, l.peer.Start(in(20*time.Millisecond), 1, first, func(err error) { slow = err }))
		synctest.Wait()
		require.NoError(t, book.answer(0, ""))
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		assert.ErrorIs(t, slow, ErrTimeout)
		assert.True(t, sent(t, slow))

		second, third := &echo{body: []byte("second")}, &echo{body: []byte("third")}
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, l.peer.Call(context.Background(), time.Time{}, 1, second)) })
		wg.Go(func() { assert.NoError(t, l.peer.Call(context.Background(), time.Time{}, 1, third)) })
		synctest.Wait()
		require.NoError(t, book.answer(1, "of the first"))
		synctest.Wait()
		assert.Zero(t, second.read+third.read+first.read)
		seen := book.requests()
		require.NoError(t, book.answer(2, "to "+seen[2]))
		require.NoError(t, book.answer(3, "to "+seen[3]))
		wg.Wait()
		assert.Equal(t, "to second", string(second.answer))
		assert.Equal(t, "to third", string(third.answer))
		assert.Zero(t, first.read)
		assert.Equal(t, 1, l.net.dialled())
	})
}

func TestRequestsLeaveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
		defer stop()
		require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil))
		synctest.Wait()
		var want []string
		var wg sync.WaitGroup
		var failed atomic.Int64
		for i := range 500 {
			text := fmt.Sprint(i)
			want = append(want, text)
			m := &echo{body: []byte(text)}
			if i%3 == 0 {
				wg.Go(func() {
					if l.peer.Call(context.Background(), in(time.Second), 1, m) != nil {
						failed.Add(1)
					}
				})
				synctest.Wait()
				continue
			}
			require.NoError(t, l.peer.Start(in(time.Second), 1, m, func(err error) {
				if err != nil {
					failed.Add(1)
				}
			}))
		}
		synctest.Wait()
		assert.Equal(t, want, book.requests())
		l.peer.Close()
		wg.Wait()
		assert.EqualValues(t, 500, failed.Load())
	})
}

func TestDeadConnectionFailsAllCallsOnceAndAtOnce(t *testing.T) {
	for _, how := range []string{"connection breaks", "server closes", "peer closes"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := &ledger{}
				l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
				defer stop()
				require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil))
				synctest.Wait()
				want := ErrLost
				if how == "peer closes" {
					want = ErrClosed
				}
				var ends [100]atomic.Int64
				var wg sync.WaitGroup
				for i := range ends {
					check := func(err error) {
						ends[i].Add(1)
						assert.ErrorIs(t, err, want)
						assert.True(t, sent(t, err))
					}
					if i%2 == 0 {
						wg.Go(func() { check(l.peer.Call(context.Background(), in(time.Minute), 1, &echo{})) })
					} else {
						require.NoError(t, l.peer.Start(in(time.Minute), 1, &echo{}, check))
					}
				}
				synctest.Wait()
				begin := time.Now()
				switch how {
				case "connection breaks":
					_ = l.net.last().Close()
				case "server closes":
					l.srv.Close()
				case "peer closes":
					l.peer.Close()
					l.peer.Close()
					assert.ErrorIs(t, l.call(), ErrClosed)
					assert.ErrorIs(t, l.peer.Start(time.Time{}, 1, &echo{}, nil), ErrClosed)
				}
				wg.Wait()
				synctest.Wait()
				assert.Zero(t, time.Since(begin))
				for i := range ends {
					assert.EqualValues(t, 1, ends[i].Load(), "call %d", i)
				}
				assert.False(t, l.peer.Connected())
				assert.ErrorIs(t, l.peer.Err(), want)
			})
		})
	}
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
		defer stop()
		ctx, cancel := context.WithCancel(context.Background())
		begin := time.Now()
		time.AfterFunc(30*time.Millisecond, cancel)
		m := &echo{}
		err := l.peer.Call(ctx, in(time.Second), 1, m)
		assert.ErrorIs(t, err, context.Canceled)
		assert.True(t, sent(t, err))
		assert.Equal(t, 30*time.Millisecond, time.Since(begin))
		require.NoError(t, book.answer(0, "late"))
		synctest.Wait()
		assert.Zero(t, m.read, "the message is its user's again")

		err = l.peer.Call(ctx, in(time.Second), 1, m)
		assert.ErrorIs(t, err, context.Canceled)
		assert.False(t, sent(t, err))

		// An answer that comes at the same instant: either outcome, never both, and the
		// slot is whole afterwards.
		for range 50 {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Millisecond, cancel)
			n := len(book.requests())
			time.AfterFunc(time.Millisecond, func() { assert.NoError(t, book.answer(n, "in time")) })
			m := &echo{}
			if err := l.peer.Call(ctx, in(time.Second), 1, m); err == nil {
				assert.Equal(t, 1, m.read)
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
			cancel()
			synctest.Wait() // the answer may be the later of the two
		}
	})
}

func TestInFlightLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{MaxInFlight: 100}, Config{MaxInFlight: 3}, funcHandler{serve: book.leaveOpen})
		defer stop()
		require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil))
		synctest.Wait()
		for range 3 {
			require.NoError(t, l.peer.Start(in(time.Second), 1, &echo{}, func(error) {}))
		}
		assert.ErrorIs(t, l.peer.Start(in(time.Second), 1, &echo{}, nil), ErrBusy)
		err := l.call()
		assert.ErrorIs(t, err, ErrBusy)
		assert.False(t, sent(t, err))
		synctest.Wait()
		require.NoError(t, book.answer(0, ""))
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, l.call()) })
		synctest.Wait()
		require.NoError(t, book.answer(3, ""))
		wg.Wait()
	})
}

func TestStartWithoutDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{MaxInFlight: 1}, echoHandler{})
		defer stop()
		require.NoError(t, l.call())
		for range 10 {
			m := &echo{}
			require.NoError(t, l.peer.Start(in(time.Second), 1, m, nil))
			synctest.Wait()
			assert.Equal(t, 1, m.read)
		}
	})
}

func TestTooLargeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		err := l.peer.Call(context.Background(), time.Time{}, 1, &echo{body: make([]byte, MaxFrame)})
		assert.ErrorIs(t, err, ErrTooLarge)
		assert.False(t, sent(t, err))
		m := &echo{body: make([]byte, MaxFrame-16)}
		require.NoError(t, l.peer.Call(context.Background(), time.Time{}, 1, m))
		assert.Len(t, m.answer, MaxFrame-16)
	})
}

// TestMuteConnectionIsReplaced cuts the wire for an hour. The old connection would stay
// dead for as long; a new one works as soon as the wire does.
func TestMuteConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		time.Sleep(time.Second)
		require.NoError(t, l.call())
		alive := l.peer.LastHeard()
		assert.Equal(t, time.Now(), alive)
		old := l.net.last()
		old.setCut(true)
		time.Sleep(time.Millisecond)
		begin := time.Now()
		err := l.peer.Call(context.Background(), in(50*time.Millisecond), 1, &echo{})
		assert.ErrorIs(t, err, ErrTimeout)
		assert.True(t, sent(t, err))
		assert.Equal(t, 50*time.Millisecond, time.Since(begin))
		assert.True(t, l.peer.Connected(), "one call says little of a connection")
		err = l.peer.Call(context.Background(), in(time.Minute), 1, &echo{})
		assert.ErrorIs(t, err, ErrLost)
		assert.True(t, sent(t, err))
		assert.Equal(t, 50*time.Millisecond+silence, time.Since(begin))
		assert.False(t, l.peer.Connected())
		assert.ErrorIs(t, l.peer.Err(), ErrLost)
		assert.Equal(t, alive, l.peer.LastHeard())
		assert.NoError(t, l.call(), "at once, on a new connection")
		assert.Equal(t, 2, l.net.dialled())
		assert.NotSame(t, old, l.net.last())
		old.setCut(false)
	})
}

// TestTimeoutAloneDoesNotCostTheConnection: one slow answer, others come.
func TestTimeoutAloneDoesNotCostTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: openKind2})
		defer stop()
		require.NoError(t, l.call())
		var wg sync.WaitGroup
		wg.Go(func() {
			err := l.peer.Call(context.Background(), in(50*time.Millisecond), 2, &echo{})
			assert.ErrorIs(t, err, ErrTimeout)
		})
		synctest.Wait()
		require.NoError(t, l.call())
		wg.Wait()
		require.NoError(t, l.call())
		assert.Equal(t, 1, l.net.dialled())
	})
}

// TestStuckWriterHoldsNobodyUp fills the socket of a peer that does not read: what is
// still queued when the connection is given up has certainly not been sent, and says so.
func TestStuckWriterHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{MaxBuffer: 100 << 10}, echoHandler{})
		defer stop()
		require.NoError(t, l.call())
		l.net.last().setCut(true)
		big := make([]byte, 50<<10)
		var mu sync.Mutex
		outcomes := map[int]error{} // of those that have one
		calls := 0
		var refused error
		begin := time.Now()
		for refused == nil {
			deadline := begin.Add(80 * time.Millisecond)
			i := calls
			if i%2 == 1 {
				deadline = begin.Add(time.Minute)
			}
			refused = l.peer.Start(deadline, 1, &echo{body: big}, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				outcomes[i] = err
			})
			if synctest.Wait(); refused == nil {
				calls++
			}
		}
		assert.ErrorIs(t, refused, ErrBusy, "the buffer is bounded")
		require.Greater(t, calls, 2)
		time.Sleep(80 * time.Millisecond)
		synctest.Wait()
		mu.Lock()
		for i := range calls {
			err, over := outcomes[i]
			assert.Equal(t, i%2 == 0, over, "call %d", i)
			if over {
				assert.ErrorIs(t, err, ErrTimeout)
				assert.True(t, sent(t, err), "what is queued may still leave")
			}
		}
		mu.Unlock()
		time.Sleep(silence)
		synctest.Wait()
		mu.Lock()
		for i := 1; i < calls; i += 2 {
			assert.ErrorIs(t, outcomes[i], ErrLost)
			assert.Equal(t, i < 2, sent(t, outcomes[i]), "call %d", i)
		}
		mu.Unlock()
		require.NoError(t, l.call())
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		l.net.setFail(errors.New("no route"))
		assert.True(t, l.peer.LastHeard().IsZero())
		assert.NoError(t, l.peer.Err())
		for range 2000 {
			begin := time.Now()
			err := l.call()
			require.ErrorIs(t, err, ErrUnreachable)
			require.ErrorContains(t, err, "no route")
			require.False(t, sent(t, err))
			require.Zero(t, time.Since(begin), "fails at once")
			time.Sleep(5 * time.Millisecond)
		}
		// Ten seconds: a handful of attempts while it doubles, then at least one a second.
		assert.GreaterOrEqual(t, l.net.dialled(), 14)
		assert.LessOrEqual(t, l.net.dialled(), 34)
		l.net.setFail(nil)
		time.Sleep(time.Second)
		assert.NoError(t, l.call())
		assert.NoError(t, l.peer.Err())
	})
}

// TestOneDialForAll lets many calls wait for one slow attempt, each for as long as it
// may.
func TestOneDialForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{MaxInFlight: 20}, echoHandler{})
		defer stop()
		served := l.net.serve
		l.net.serve = func(c net.Conn) { time.AfterFunc(100*time.Millisecond, func() { served(c) }) }
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range 10 {
			wg.Go(func() {
				assert.NoError(t, l.call())
				assert.Equal(t, 100*time.Millisecond, time.Since(begin))
			})
			wg.Go(func() {
				d := time.Duration(i+1) * time.Millisecond
				err := l.peer.Call(context.Background(), begin.Add(d), 1, &echo{})
				assert.ErrorIs(t, err, ErrTimeout)
				assert.False(t, sent(t, err))
				assert.Equal(t, d, time.Since(begin))
			})
		}
		synctest.Wait()
		assert.ErrorIs(t, l.call(), ErrBusy, "waiting is bounded, too")
		wg.Wait()
		assert.Equal(t, 1, l.net.dialled())
	})
}

// TestPeerThatOnlyHangsUp must not be dialled as fast as calls come.
func TestPeerThatOnlyHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: func(s *Session, _ uint64, _ uint8, _, _ []byte) ([]byte, bool, error) {
			s.end()
			return nil, false, nil
		}})
		defer stop()
		for range 1000 {
			require.Error(t, l.call())
			time.Sleep(time.Millisecond)
		}
		assert.Less(t, l.net.dialled(), 15)
	})
}

func TestCloseWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		var other net.Conn
		l.net.serve = func(c net.Conn) { other = c } // says nothing
		var wg sync.WaitGroup
		begin := time.Now()
		wg.Go(func() {
			err := l.call()
			assert.ErrorIs(t, err, ErrClosed)
			assert.False(t, sent(t, err))
		})
		synctest.Wait()
		l.peer.Close()
		wg.Wait()
		assert.Zero(t, time.Since(begin))
		_ = other.Close()
	})
}
