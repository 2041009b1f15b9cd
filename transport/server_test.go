package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// admitted returns the dialer's end of a plain connection whose handshake is done.
func admitted(t testing.TB, srv *Server, size int) *memConn {
	a, b := memPair(size)
	srv.ServeConn(b)
	cfg := Config{}.withDefaults()
	_, err := dialHandshake(&cfg, nil, a, hello{})
	require.NoError(t, err)
	return a
}

func TestGarbageClosesThatConnectionOnly(t *testing.T) {
	random := make([]byte, 4096)
	_, _ = rand.Read(random)
	random[0] = 'x' // or one day it would begin well
	whole := request(1, 1, "body")
	for name, c := range map[string]struct {
		greet bool
		bytes []byte
	}{
		"random":             {false, random},
		"http":               {false, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
		"tls":                {false, []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		"almost ours":        {false, []byte("weiR\x01\x00")},
		"huge hello":         {false, append(preface(nil, nil), 0xff, 0xff, 0xff, 0xff)},
		"hello of nonsense":  {false, append(preface(nil, nil), 0, 0, 0, 3, 1, 2, 3)},
		"hello that expands": {false, append(preface(nil, nil), 0, 0, 0, 5, 0xdd, 0xff, 0xff, 0xff, 0xff)},
		"huge frame":         {true, []byte{0xff, 0xff, 0xff, 0xff, 1}},
		"frame of nonsense":  {true, []byte{0, 0, 0, 3, 1, 2, 3}},
		"good, then bad":     {true, append(bytes.Clone(whole), 0, 0, 0, 3, 0x92, 1, 1)},
		"random frames":      {true, append([]byte{0, 0, 1, 0}, random...)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := newLab(t, Config{}, Config{}, echoHandler{})
				defer stop()
				require.NoError(t, l.call())
				var a *memConn
				if c.greet {
					a = admitted(t, l.srv, 64<<10)
				} else {
					var b *memConn
					a, b = memPair(64 << 10)
					l.srv.ServeConn(b)
				}
				begin := time.Now()
				_, err := a.Write(c.bytes)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, a)
				assert.NoError(t, err)
				assert.Zero(t, time.Since(begin), "closed at once")
				assert.NoError(t, l.call())
				assert.Equal(t, 1, l.net.dialled(), "the other one does not notice")
				synctest.Wait()
				assert.Equal(t, 1, l.logs.count("closed a connection"))
				_ = a.Close()
			})
		})
	}
}

func TestTruncatedFrameWaitsForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{}, Config{}, echoHandler{})
		defer stop()
		a := admitted(t, l.srv, 64<<10)
		b := request(9, 1, "body")
		for i := range b {
			_, err := a.Write(b[i : i+1])
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		got := make([]byte, len(b))
		_, err := io.ReadFull(a, got)
		require.NoError(t, err)
		assert.Equal(t, request(9, statusOK, "body"), got)
		_ = a.Close()
	})
}

// TestPeerSendsGarbage has the answering side break the rules.
func TestPeerSendsGarbage(t *testing.T) {
	for name, answer := range map[string][]byte{
		"huge frame":     {0xff, 0xff, 0xff, 0xff},
		"nonsense":       {0, 0, 0, 3, 1, 2, 3},
		"half a frame":   {0, 0, 0, 9, 0x93},
		"unknown ids":    append(request(77, statusOK, ""), request(1<<60, statusOK, "")...),
		"unknown status": nil, // see below
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, stop := newLab(t, Config{}, Config{}, echoHandler{})
				defer stop()
				var impostors sync.WaitGroup
				defer impostors.Wait()
				l.net.serve = func(c net.Conn) {
					impostors.Go(func() {
						defer func() { _ = c.Close() }()
						cfg := Config{}.withDefaults()
						assert.NoError(t, admitPreface(nil, c, [nonceLen]byte{1}))
						link, err := listenHandshake(&cfg, nil, c)
						assert.NoError(t, err)
						assert.NoError(t, welcomeDialer(link, nil))
						f := &frameReader{src: c}
						assert.NoError(t, f.fill())
						frame, err := f.next()
						assert.NoError(t, err)
						if answer == nil {
							id, _, _, _ := parseFrame(frame)
							answer = request(id, 200, "")
						}
						_, err = c.Write(answer)
						assert.NoError(t, err)
						time.Sleep(100 * time.Millisecond)
					})
				}
				begin := time.Now()
				err := l.call()
				assert.True(t, sent(t, err))
				switch name {
				case "half a frame", "unknown ids": // ends when the connection does
					assert.ErrorIs(t, err, ErrLost)
					assert.Equal(t, 100*time.Millisecond, time.Since(begin))
				default:
					assert.ErrorIs(t, err, ErrProtocol)
					assert.Zero(t, time.Since(begin))
				}
			})
		})
	}
}

// TestPeerThatDoesNotReadIsCutOff lets answers pile up, those of Serve and late ones.
func TestPeerThatDoesNotReadIsCutOff(t *testing.T) {
	for _, kind := range []uint8{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var late sync.WaitGroup
			defer late.Wait()
			l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: func(s *Session, id uint64, kind uint8, _, buf []byte) ([]byte, bool, error) {
				body := make([]byte, 1000)
				if kind == 1 {
					return append(buf, body...), true, nil
				}
				late.Go(func() { _ = s.Answer(id, body, nil) })
				return nil, false, nil
			}})
			defer stop()
			a := admitted(t, l.srv, 8<<10)
			begin := time.Now()
			var err error
			for id := uint64(1); err == nil; id++ {
				_, err = a.Write(request(id, kind, ""))
				synctest.Wait()
				require.Less(t, id, uint64(1<<16), "bounded")
				if len(a.out.buf) > 7<<10 {
					time.Sleep(time.Second)
				}
			}
			assert.ErrorIs(t, err, io.ErrClosedPipe)
			assert.LessOrEqual(t, time.Since(begin), 6*time.Second)
			require.NoError(t, l.call(), "others do not notice")
			_ = a.Close()
		})
	}
}

func TestOpenRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{MaxInFlight: 2}, Config{}, funcHandler{serve: book.leaveOpen})
		defer stop()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { assert.NoError(t, l.call()) })
		}
		synctest.Wait()
		err := l.call()
		assert.ErrorIs(t, err, ErrBusy)
		assert.False(t, sent(t, err), "the peer did not look at it")
		assert.Len(t, book.requests(), 2)
		require.NoError(t, book.answer(0, ""))
		synctest.Wait()
		wg.Go(func() { assert.NoError(t, l.call()) })
		synctest.Wait()
		require.NoError(t, book.answer(1, ""))
		require.NoError(t, book.answer(2, ""))
		wg.Wait()
	})
}

func TestLateAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
		defer stop()
		messages := make([]echo, 3)
		errs := make([]error, 3)
		var wg sync.WaitGroup
		for i := range messages {
			messages[i].body = []byte{byte('a' + i)}
			wg.Go(func() { errs[i] = l.peer.Call(context.Background(), in(time.Second), 1, &messages[i]) })
			synctest.Wait()
		}
		require.NoError(t, book.answer(2, "C"))
		require.NoError(t, book.open[1](nil, errors.New("no B")))
		require.NoError(t, book.open[0](make([]byte, MaxFrame+1), nil), "the peer learns that it is too large")
		wg.Wait()
		assert.NoError(t, errs[2])
		assert.Equal(t, "C", string(messages[2].answer))
		assert.ErrorContains(t, errs[1], "no B")
		assert.ErrorContains(t, errs[0], ErrTooLarge.Error())

		require.Error(t, l.peer.Call(context.Background(), in(time.Millisecond), 1, &echo{}))
		l.peer.Close()
		synctest.Wait()
		assert.ErrorIs(t, book.answer(3, ""), ErrClosed, "nobody is there any more")
	})
}

// What Close would lose is known: what is open, what is queued, and what is being written.
func TestAnswering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &ledger{}
		l, stop := newLab(t, Config{}, Config{}, funcHandler{serve: book.leaveOpen})
		defer stop()
		a := admitted(t, l.srv, 64)
		assert.False(t, l.srv.Answering())
		for id := range uint64(2) {
			_, err := a.Write(request(id+1, 1, ""))
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.True(t, l.srv.Answering(), "two are open")
		require.NoError(t, book.answer(0, ""))
		synctest.Wait()
		assert.True(t, l.srv.Answering(), "one is")
		require.NoError(t, book.answer(1, strings.Repeat("x", 100)))
		assert.True(t, l.srv.Answering(), "it is queued")
		synctest.Wait()
		assert.True(t, l.srv.Answering(), "more than the peer has read of it is being written")
		_, err := io.ReadFull(a, make([]byte, 100))
		require.NoError(t, err)
		synctest.Wait()
		assert.False(t, l.srv.Answering())
		_, err = a.Write(request(3, 1, ""))
		require.NoError(t, err)
		synctest.Wait()
		assert.True(t, l.srv.Answering())
		_ = a.Close()
		synctest.Wait()
		assert.False(t, l.srv.Answering(), "nobody waits for it")
	})
}

func TestServerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := newLab(t, Config{Secret: []byte("s")}, Config{Secret: []byte("s")}, echoHandler{})
		defer stop()
		require.NoError(t, l.call())
		a, b := memPair(64) // in the middle of a handshake
		l.srv.ServeConn(b)
		begin := time.Now()
		l.srv.Close()
		assert.Zero(t, time.Since(begin))
		_, err := io.Copy(io.Discard, a) // the greeting may have come
		assert.NoError(t, err, "it ends")
		assert.Zero(t, l.logs.count("closed a connection"), "that was us")
		a, b = memPair(64)
		l.srv.ServeConn(b)
		_, err = a.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// FuzzServer sends arbitrary bytes after a good handshake. The connection may end, the
// server may not.
func FuzzServer(f *testing.F) {
	f.Add(request(1, 1, "body"))
	f.Add(append(request(1, 1, ""), request(2, 2, "later")...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0, 3, 0x93, 1, 1, 0, 0, 0, 3, 0x92, 1, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		srv, err := NewServer(Config{MaxInFlight: 4}, funcHandler{serve: func(s *Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
			switch kind {
			case 1:
				return append(buf, body...), true, nil
			case 2:
				return nil, false, s.Answer(id, body, nil)
			case 3:
				return nil, false, nil
			}
			return nil, true, errors.New("what is this?")
		}})
		require.NoError(t, err)
		a := admitted(t, srv, len(in)+1)
		_, _ = a.Write(in)
		a.out.update(func() { a.out.closed = true }) // no more is coming
		var out bytes.Buffer
		_, err = io.Copy(&out, a)
		require.NoError(t, err)
		frames, _, err := readFrames(&out)
		require.ErrorIs(t, err, io.EOF)
		for _, frame := range frames {
			_, status, _, ok := parseFrame(frame)
			require.True(t, ok)
			require.LessOrEqual(t, status, uint8(statusBusy))
		}
		srv.Close()
	})
}
