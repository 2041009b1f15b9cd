package simnet

import (
	"context"
	"io"
	"testing"
	"time"
)

// Benchmarks run outside a bubble, so they have no latency: what they measure is the
// cost of the machinery, not of waiting.

func benchNetwork(b *testing.B) (from, to *Host) {
	b.ReportAllocs()
	n := New(Options{})
	from, to = n.Host("a", "10.0.0.1"), n.Host("b", "10.0.0.2")
	b.Cleanup(from.Kill)
	b.Cleanup(to.Kill)
	return from, to
}

// One packet from host to host.
func BenchmarkPacket(b *testing.B) {
	from, to := benchNetwork(b)
	_, p, _ := from.Listen(context.Background(), "10.0.0.1:1")
	_, q, _ := to.Listen(context.Background(), "10.0.0.2:1")
	msg, buf, dst := make([]byte, 200), make([]byte, 1500), udp("10.0.0.2:1")
	for b.Loop() {
		_, _ = p.WriteTo(msg, dst)
		_, _, _ = q.ReadFrom(buf)
	}
}

// One question and its answer on an open stream, under a deadline.
func BenchmarkRoundTrip(b *testing.B) {
	from, to := benchNetwork(b)
	l, _, _ := to.Listen(context.Background(), "10.0.0.2:1")
	go echo(l)
	c, _ := from.Dial(context.Background(), "10.0.0.2:1")
	buf := make([]byte, 200)
	for b.Loop() {
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(buf)
		_, _ = io.ReadFull(c, buf)
	}
}

// A long queue of small writes, read in large pieces.
func BenchmarkBulk(b *testing.B) {
	from, to := benchNetwork(b)
	l, _, _ := to.Listen(context.Background(), "10.0.0.2:1")
	c, _ := from.Dial(context.Background(), "10.0.0.2:1")
	d, _ := l.Accept()
	b.SetBytes(bufDefault)
	small, large := make([]byte, 64), make([]byte, bufDefault)
	for b.Loop() {
		for range bufDefault / len(small) {
			_, _ = c.Write(small)
		}
		_, _ = io.ReadFull(d, large)
	}
}
