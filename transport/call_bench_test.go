package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo is a message and the handler that answers it: the body comes back.
type echo struct {
	body   []byte
	answer []byte
	read   int
}

func (e *echo) AppendRequest(b []byte) []byte { return append(b, e.body...) }

func (e *echo) ReadAnswer(body []byte) error {
	e.answer = append(e.answer[:0], body...)
	e.read++
	return nil
}

// echoHandler answers every request with its own body.
type echoHandler struct{}

func (echoHandler) Hello(net.Addr, []byte) (any, []byte, error) { return nil, nil, nil }

func (echoHandler) Serve(_ *Session, _ uint64, _ uint8, body, buf []byte) ([]byte, bool, error) {
	return append(buf, body...), true, nil
}

func noHello() []byte { return nil }

// serveTCP listens on loopback and hands every connection to serve.
func serveTCP(tb testing.TB, serve func(net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				serve(c)
			}
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// newTCPPair returns a peer that calls a server over loopback.
func newTCPPair(tb testing.TB, cfg Config, h Handler) *Peer {
	srv, err := NewServer(cfg, h)
	require.NoError(tb, err)
	peer, err := NewPeer(cfg, serveTCP(tb, srv.ServeConn), noHello, nil)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		peer.Close()
		srv.Close()
	})
	return peer
}

// callAll makes b.N calls from so many goroutines at once.
func callAll(b *testing.B, callers int, call func(worker int)) {
	var wg sync.WaitGroup
	for w := range callers {
		n := b.N / callers
		if w < b.N%callers {
			n++
		}
		wg.Go(func() {
			for range n {
				call(w)
			}
		})
	}
	wg.Wait()
}

func BenchmarkCall(b *testing.B) {
	for _, secret := range []string{"", "sixteen bytes or more"} {
		name := "plain"
		if secret != "" {
			name = "tls"
		}
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				benchmarkCalls(b, callers, newTCPPair(b, Config{Secret: []byte(secret)}, echoHandler{}))
			})
		}
	}
}

func benchmarkCalls(b *testing.B, callers int, peers ...*Peer) {
	messages := make([]echo, callers)
	for i := range messages {
		messages[i].body = make([]byte, 32)
		require.NoError(b, peers[i%len(peers)].Call(context.Background(), time.Time{}, 1, &messages[i]))
	}
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	callAll(b, callers, func(w int) {
		begin := time.Now()
		if err := peers[w%len(peers)].Call(context.Background(), begin.Add(5*time.Second), 1, &messages[w]); err != nil {
			b.Error(err)
		}
		took[next.Add(1)-1] = time.Since(begin)
	})
	reportMedian(b, took)
}

func reportMedian(b *testing.B, took []time.Duration) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
}

// BenchmarkRawEcho is what the same bytes cost without this package: one goroutine at
// each end of a connection.
func BenchmarkRawEcho(b *testing.B) {
	benchmarkRaw(b, serveTCP(b, func(c net.Conn) { go rawEcho(c) }))
}

func rawEcho(c net.Conn) {
	defer func() { _ = c.Close() }()
	buf := make([]byte, 64)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func benchmarkRaw(b *testing.B, addr string) {
	c, err := net.Dial("tcp", addr)
	require.NoError(b, err)
	defer func() { _ = c.Close() }()
	buf := make([]byte, 42)
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	callAll(b, 1, func(int) {
		begin := time.Now()
		_, werr := c.Write(buf)
		_, rerr := c.Read(buf)
		took = append(took, time.Since(begin))
		if werr != nil || rerr != nil {
			b.Error(werr, rerr)
		}
	})
	reportMedian(b, took)
}
