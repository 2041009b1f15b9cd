package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// attack is one flood.
type attack struct {
	to            netip.AddrPort
	mode          string
	sources, open int
	pause         time.Duration // of each that connects or sends, after each time

	connections, packets, failed atomic.Int64
}

const (
	sourcesMax = 200
	openMax    = 4096
	perAttempt = 2 * time.Second // at most, for one connection
	senders    = 2               // goroutines that send packets
)

var modes = []string{"silent", "onebyte", "slow", "tls", "gossip-stream", "packets", "garbage"}

// aim refuses everything but loopback, and what has no end.
func (a *attack) aim(addr string) error {
	to, err := netip.ParseAddrPort(addr)
	switch {
	case err != nil:
		return err
	case !to.Addr().Unmap().Is4() || !to.Addr().Unmap().IsLoopback():
		return fmt.Errorf("%v is not on IPv4 loopback", to)
	case !slices.Contains(modes, a.mode):
		return fmt.Errorf("no mode %q; there are %v", a.mode, modes)
	case a.sources < 1 || a.sources > sourcesMax:
		return fmt.Errorf("%d sources, want 1 to %d", a.sources, sourcesMax)
	case a.open < 1 || a.open > openMax:
		return fmt.Errorf("%d connections at a time, want 1 to %d", a.open, openMax)
	}
	a.to = to
	return nil
}

// source is the address of the i-th attempt.
func (a *attack) source(i int64) net.IP { return net.IPv4(127, 0, 1, byte(1+i%int64(a.sources))) }

// run attacks until ctx ends, and leaves nothing open.
func (a *attack) run(ctx context.Context) {
	var wg sync.WaitGroup
	if a.mode == "packets" || a.mode == "garbage" {
		for range senders {
			wg.Go(func() { a.send(ctx) })
		}
	}
	if a.mode != "packets" {
		for range a.open {
			wg.Go(func() {
				for ctx.Err() == nil {
					if !a.connect(ctx) {
						a.failed.Add(1)
						sleep(ctx, 10*time.Millisecond)
					}
					a.rest(ctx)
				}
			})
		}
	}
	wg.Wait()
}

// connect makes one connection, plays its part, and waits until the node closes it.
func (a *attack) connect(ctx context.Context) bool {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: a.source(a.connections.Add(1))}, Timeout: perAttempt}
	c, err := d.DialContext(ctx, "tcp4", a.to.String())
	if err != nil {
		return false
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	c.(*net.TCPConn).SetLinger(0) // no port waits after it
	c.SetDeadline(time.Now().Add(perAttempt))
	switch a.mode {
	case "onebyte":
		c.Write([]byte("w"))
	case "slow":
		for _, b := range []byte("weir\x01\x01 and so on") {
			if _, err := c.Write([]byte{b}); err != nil {
				return true
			}
			sleep(ctx, 50*time.Millisecond)
		}
	case "tls":
		tls.Client(c, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
		return true
	case "gossip-stream":
		c.Write(append([]byte("\xf4\x04weir\x0a\x01\x40\x00\x00"), make([]byte, 64<<10)...))
	case "garbage":
		b := make([]byte, 4096)
		rand.Read(b)
		c.Write(b)
	}
	for b := make([]byte, 512); err == nil; {
		_, err = c.Read(b)
	}
	return true
}

// send sends packets from all sources, as fast as they go.
func (a *attack) send(ctx context.Context) {
	var from []*net.UDPConn
	for i := range a.sources {
		c, err := net.DialUDP("udp4", &net.UDPAddr{IP: a.source(int64(i))}, net.UDPAddrFromAddrPort(a.to))
		if err != nil {
			a.failed.Add(1)
			continue
		}
		defer c.Close()
		from = append(from, c)
	}
	b := make([]byte, 512)
	rand.Read(b)
	for i := 0; ctx.Err() == nil && len(from) > 0; i++ {
		if a.mode == "packets" {
			b[0] = 245 // of a sealed one
		} else {
			b[0] = byte(i)
		}
		b[1+i%8]++
		if _, err := from[i%len(from)].Write(b); err == nil {
			a.packets.Add(1)
		}
		a.rest(ctx)
	}
}

func (a *attack) rest(ctx context.Context) {
	if a.pause > 0 {
		sleep(ctx, a.pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
