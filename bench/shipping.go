package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// counting is the machine's network, with a count of the bytes that are written to
// streams, on both sides.
type counting struct{ written atomic.Int64 }

// Listen opens the port for streams first, as the packets' must be the same.
func (c *counting) Listen(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	pc, err := lc.ListenPacket(ctx, "udp", l.Addr().String())
	if err != nil {
		_ = l.Close() // it failed already
		return nil, nil, err
	}
	return countingListener{l, c}, pc, nil
}

func (c *counting) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	return countingConn{conn, c}, err
}

type countingListener struct {
	net.Listener
	to *counting
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, l.to}, err
}

type countingConn struct {
	net.Conn
	to *counting
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.to.written.Add(int64(n))
	return n, err
}

// shippingArgs asks what it costs to keep copies.
type shippingArgs struct {
	Secret bool
	Keys   int
}

// shippingResult is bytes of TCP payload, in both directions, per changed key.
type shippingResult struct {
	BytesPerKey float64
	Shipped     int64
}

// measureShipping has two nodes, both in this process, and takes once from each of
// many keys at the node that owns it, so that nothing but copies crosses.
func measureShipping(a shippingArgs) (r shippingResult, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), meetTime)
	defer cancel()
	wire := &counting{}
	c := cluster.Config{Name: "a", MaxKeys: 4 * a.Keys, Network: wire, Logger: slog.New(slog.DiscardHandler)}
	if a.Secret {
		c.Secret = []byte("a secret of this measurement")
	}
	one, err := cluster.Start(ctx, c)
	if err != nil {
		return r, err
	}
	defer one.Close()
	c.Name, c.Join = "b", []string{one.Addr()}
	two, err := cluster.Start(ctx, c)
	if err != nil {
		return r, err
	}
	defer two.Close()
	if err := until(ctx, func() bool {
		s, t := one.Stats(), two.Stats()
		return s.Live == 2 && t.Live == 2 && one.Ready() && two.Ready() && s.Holding > 0 && t.Holding > 0 && s.Pending+t.Pending == 0
	}); err != nil {
		return r, fmt.Errorf("two nodes do not see each other: %w", err)
	}
	// The first take of each key finds out who owns it, and may be passed on. The
	// second, at the owner, changes the key once more: only that is counted.
	lim := limiter.Limit{Quota: limiter.MaxQuota, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
	owners := make([]*cluster.Node, a.Keys)
	for i := range owners {
		before := one.Stats().Forwarded
		if _, err := one.Take(ctx, userKey(i), lim, 1); err != nil {
			return r, err
		}
		if owners[i] = one; one.Stats().Forwarded > before {
			owners[i] = two
		}
	}
	shippedNow := func() int64 { return one.Stats().Shipped + two.Stats().Shipped }
	if err := quiet(ctx, shippedNow); err != nil {
		return r, err
	}
	bytes, shipped := wire.written.Load(), shippedNow()
	for i, n := range owners {
		if _, err := n.Take(ctx, userKey(i), lim, 1); err != nil {
			return r, err
		}
	}
	if err := quiet(ctx, shippedNow); err != nil {
		return r, err
	}
	r.Shipped = shippedNow() - shipped
	r.BytesPerKey = float64(wire.written.Load()-bytes) / float64(a.Keys)
	return r, nil
}

// quietTime is several flushes: what has not been shipped by then was not to be.
const quietTime = 500 * time.Millisecond

// quiet waits until a counter has stood still for quietTime.
func quiet(ctx context.Context, counter func() int64) error {
	last, since := counter(), time.Now()
	return until(ctx, func() bool {
		if now := counter(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) >= quietTime
	})
}

// until polls: what it waits for has no event.
func until(ctx context.Context, done func() bool) error {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}
