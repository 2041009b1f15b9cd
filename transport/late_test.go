package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patient is a message that hears of late answers.
type patient struct {
	echo
	late func(body []byte, err error)
}

func (p *patient) Late() func([]byte, error) { return p.late }

// slowly serves connections as over a wire with a round trip: what is written there
// arrives later. It stands between the two ends of a connection.
func slowly(serve func(net.Conn), oneWay time.Duration, size int) func(net.Conn) {
	carry := func(from, to net.Conn) {
		type chunk struct {
			b  []byte
			at time.Time
		}
		way := make(chan chunk, 1<<10)
		go func() {
			defer close(way)
			for {
				b := make([]byte, 4<<10)
				n, err := from.Read(b)
				if n > 0 {
					way <- chunk{b[:n], time.Now().Add(oneWay)}
				}
				if err != nil {
					return
				}
			}
		}()
		for c := range way {
			time.Sleep(time.Until(c.at))
			if _, err := to.Write(c.b); err != nil {
				break
			}
		}
		_ = from.Close()
		_ = to.Close()
		for range way { // what is still on its way arrives nowhere
		}
	}
	return func(c net.Conn) {
		a, b := memPair(size)
		go carry(c, a)
		go carry(a, c)
		serve(b)
	}
}

// Calls that end before the connection is made, or too shortly after for an answer, cost
// nothing but themselves: those that come later find the connection.
func TestConnectionInTheMakingIsLeftAlone(t *testing.T) {
	for _, secret := range []string{"", "a secret of sixteen"} {
		for _, rtt := range []time.Duration{5, 17, 18, 19, 26, 30, 33, 60, 100, 400, 900} {
			synctest.Test(t, func(t *testing.T) {
				rtt := rtt * time.Millisecond
				cfg := Config{Secret: []byte(secret)}
				l, stop := newLab(t, cfg, cfg, echoHandler{})
				l.net.serve = slowly(l.net.serve, rtt/2, l.net.size)
				for begin := time.Now(); !l.peer.Connected() && time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
					_ = l.peer.Call(context.Background(), in(100*time.Millisecond), 1, &echo{})
				}
				require.NoError(t, l.call(), "round trip %v", rtt)
				require.Equal(t, 1, l.net.dialled(), "round trip %v", rtt)
				stop()
				time.Sleep(time.Second)
			})
		}
	}
}

func TestWelcomeHearsTheRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := NewServer(Config{}, echoHandler{})
		require.NoError(t, err)
		nw := &memNet{size: 64 << 10}
		nw.serve = slowly(srv.ServeConn, 15*time.Millisecond, nw.size)
		var took time.Duration
		p, err := NewPeer(Config{Dial: nw.dial}, "there", noHello, func(_ []byte, d time.Duration) error { took = d; return nil })
		require.NoError(t, err)
		p.Connect()
		synctest.Wait()
		time.Sleep(time.Second)
		assert.True(t, p.Connected(), "nobody called")
		assert.Equal(t, 30*time.Millisecond, took)
		p.Close()
		srv.Close()
		time.Sleep(time.Second)
	})
}

// A stall costs the calls that it was too long for, and what answers them comes late.
func TestAnswersAfterATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{MaxInFlight: 4}, funcHandler{serve: book.leaveOpen})
		defer stop()
		require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil))
		synctest.Wait()
		type outcome struct {
			body string
			err  error
		}
		var got []outcome
		note := func(body []byte, err error) { got = append(got, outcome{string(body), err}) }
		call := func() {
			err := l.peer.Call(context.Background(), in(100*time.Millisecond), 1, &patient{late: note})
			require.ErrorIs(t, err, ErrTimeout)
			require.True(t, sent(t, err))
		}
		for range 4 {
			call()
		}
		require.Empty(t, got)
		require.NoError(t, book.answer(1, "one"))
		synctest.Wait()
		require.NoError(t, book.open[2](nil, errors.New("did not")))
		synctest.Wait()
		require.Equal(t, []outcome{{"one", nil}, {"", &CallError{Sent: true, Err: RemoteError("did not")}}}, got)
		require.Equal(t, 1, l.net.dialled())

		// Who does not care, whose context ends, and who is one too many hears nothing.
		require.ErrorIs(t, l.peer.Call(context.Background(), in(time.Millisecond), 1, &patient{}), ErrTimeout)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, l.peer.Call(ctx, in(time.Second), 1, &patient{late: note}), context.DeadlineExceeded)
		for range 3 {
			call()
		}
		require.Len(t, l.peer.conn.Load().late, 4)
		got = nil
		_ = l.net.last().Close()
		synctest.Wait()
		require.Len(t, got, 4)
		for _, o := range got {
			require.ErrorIs(t, o.err, ErrLost)
			require.True(t, sent(t, o.err))
		}
	})
}

// A call under way when the connection ends is one that may have been acted on, too.
func TestLateOfALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
		defer stop()
		require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil))
		synctest.Wait()
		var order []error
		m := &patient{late: func(_ []byte, err error) { order = append(order, err) }}
		require.NoError(t, l.peer.Start(in(time.Minute), 1, m, func(err error) { order = append(order, err) }))
		synctest.Wait()
		_ = l.net.last().Close()
		synctest.Wait()
		require.Len(t, order, 1, "the outcome of the call says so")
		require.ErrorIs(t, order[0], ErrLost)
	})
}

func TestRetireLetsCallsFinish(t *testing.T) {
	for _, how := range []string{"answered", "late", "timeout", "lost", "ended", "dialling"} {
		synctest.Test(t, func(t *testing.T) {
			book := &ledger{}
			l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
			defer stop()
			if how == "dialling" {
				l.net.serve = slowly(l.net.serve, 20*time.Millisecond, l.net.size)
			} else {
				require.Error(t, l.peer.Start(time.Time{}, 1, &echo{}, nil))
				synctest.Wait()
				require.NoError(t, l.peer.Start(in(time.Second), 1, &echo{}, func(error) {}))
				synctest.Wait()
				require.NoError(t, book.answer(0, ""))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			began := time.Now()
			var err error
			var late atomic.Bool
			m := &patient{}
			if how == "late" {
				m.late = func([]byte, error) { late.Store(true) }
			}
			var wg sync.WaitGroup
			wg.Go(func() { err = l.peer.Call(context.Background(), in(500*time.Millisecond), 1, m) })
			synctest.Wait()
			wg.Go(func() { l.peer.Retire(ctx) })
			synctest.Wait()
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			want, took := error(nil), 200*time.Millisecond
			switch how {
			case "answered":
				require.NoError(t, book.answer(1, "good"))
			case "dialling":
				require.NoError(t, book.answer(0, "good"))
				took = 220 * time.Millisecond
			case "late":
				time.AfterFunc(500*time.Millisecond, func() { _ = book.answer(1, "late") })
				want, took = ErrTimeout, 700*time.Millisecond
			case "timeout":
				want, took = ErrTimeout, 500*time.Millisecond
			case "lost":
				_ = l.net.last().Close()
				want = ErrLost
			case "ended":
				cancel()
				want = ErrClosed
			}
			wg.Wait()
			require.ErrorIs(t, err, want, how)
			require.Equal(t, took, time.Since(began), how)
			require.Equal(t, how == "late", late.Load())
			require.ErrorIs(t, l.call(), ErrClosed, how)
			time.Sleep(time.Second)
		})
	}
}
