package simnet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const lat = 5 * time.Millisecond

// world is a network with three hosts, and an echo server on b.
type world struct {
	*Network
	t       *testing.T
	a, b, c *Host
	port    net.Listener
	packets net.PacketConn // of b
}

const echoAddr = "10.0.0.2:9000"

// inBubble runs f with a fresh world. Killing all hosts at the end must be enough to
// end every goroutine: synctest panics if one is left.
func inBubble(t *testing.T, o Options, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, o)
		defer w.stop()
		f(t, w)
	})
}

func newWorld(t *testing.T, o Options) *world {
	n := New(o)
	w := &world{Network: n, t: t, a: n.Host("a", "10.0.0.1"), b: n.Host("b", "10.0.0.2"), c: n.Host("c", "10.0.0.3")}
	w.port, w.packets = w.listen(w.b, echoAddr)
	go echo(w.port)
	return w
}

func (w *world) stop() {
	for _, h := range []*Host{w.a, w.b, w.c} {
		h.Kill()
	}
}

func (w *world) listen(h *Host, addr string) (net.Listener, net.PacketConn) {
	l, p, err := h.Listen(context.Background(), addr)
	require.NoError(w.t, err)
	return l, p
}

func (w *world) dial(h *Host, addr string) net.Conn {
	c, err := h.Dial(context.Background(), addr)
	require.NoError(w.t, err)
	return c
}

// pair gives both ends of a stream from a to b, with no echo between.
func (w *world) pair() (near, far net.Conn) {
	l, _ := w.listen(w.b, "10.0.0.2:9001")
	near = w.dial(w.a, "10.0.0.2:9001")
	far, err := l.Accept()
	require.NoError(w.t, err)
	return near, far
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}()
	}
}

// ask sends a line and reads one back.
func ask(c net.Conn, msg string, limit time.Duration) (answer string, took time.Duration, err error) {
	start := time.Now()
	_ = c.SetDeadline(start.Add(limit))
	if _, err = fmt.Fprintln(c, msg); err != nil {
		return "", time.Since(start), err
	}
	answer, err = bufio.NewReader(c).ReadString('\n')
	return answer, time.Since(start), err
}

// readOne reads once, within limit, and says how long that took.
func readOne(c net.Conn, limit time.Duration) (got string, took time.Duration, err error) {
	start := time.Now()
	_ = c.SetReadDeadline(start.Add(limit))
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	return string(b[:n]), time.Since(start), err
}

// receive reads one packet, within limit.
func receive(p net.PacketConn, limit time.Duration) (string, net.Addr, error) {
	_ = p.SetReadDeadline(time.Now().Add(limit))
	b := make([]byte, 1<<16)
	n, from, err := p.ReadFrom(b)
	return string(b[:n]), from, err
}

// drainPackets reads until none comes for a second.
func drainPackets(p net.PacketConn) (all []string) {
	for {
		s, _, err := receive(p, time.Second)
		if err != nil {
			return all
		}
		all = append(all, s)
	}
}

func udp(addr string) *net.UDPAddr {
	a, err := net.ResolveUDPAddr("udp", addr) // literal addresses: asks nobody
	if err != nil {
		panic(err)
	}
	return a
}

func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
