package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// Strangers from two hundred addresses that fill every place, all the time, and say nothing:
// who joins meanwhile is a member within seconds, and those that there are lose nobody.
func TestFloodKeepsNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		secret := NewSecret()
		start := func(i int) *Node {
			ip := fmt.Sprintf("127.1.0.%d", i)
			n, err := Start(context.Background(), Config{Name: ip, Bind: ip + ":7946", Secret: secret,
				Join: []string{"127.1.0.1:7946", "127.1.0.2:7946"}, Network: nw.Host(ip, ip)})
			require.NoError(t, err)
			t.Cleanup(n.Close)
			return n
		}
		nodes := []*Node{start(1), start(2)}
		time.Sleep(3 * time.Second)
		var strangers []*simnet.Host
		for i := range 200 {
			ip := fmt.Sprintf("127.1.1.%d", i)
			strangers = append(strangers, nw.Host(ip, ip))
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ctx.Err() == nil; i++ {
				c, err := strangers[i%200].Dial(ctx, fmt.Sprintf("127.1.0.%d:7946", 1+i%2))
				if err == nil {
					time.AfterFunc(5*time.Second, func() { c.Close() })
				}
				time.Sleep(time.Millisecond)
			}
		}()
		time.Sleep(2 * time.Second)
		nodes = append(nodes, start(3))
		time.Sleep(2 * time.Second)
		for _, n := range nodes {
			require.Equal(t, 3, n.Stats().Live, n.Name())
			require.True(t, n.Ready(), n.Name())
		}
		s := nodes[0].Stats().TurnedAway
		require.Positive(t, s.Crowded+s.Silent)
		require.Zero(t, s.WrongSecret+s.BadPackets+s.Replays+s.Garbage+s.Busy)
		require.True(t, nodes[0].expected.has(netip.MustParseAddr("127.1.0.3")))
		require.False(t, nodes[0].expected.has(netip.MustParseAddr("127.1.1.3")))
		stop()
		<-done
		time.Sleep(6 * time.Second)
	})
}

// Who comes from outside of AllowFrom is not heard, whatever it knows.
func TestAllowFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{})
		start := func(ip string) *Node {
			n, err := Start(context.Background(), Config{Name: ip, Bind: ip + ":7946", JoinTimeout: time.Second,
				Join: []string{"127.1.0.1:7946"}, Network: nw.Host(ip, ip), AllowFrom: []netip.Prefix{netip.MustParsePrefix("127.1.0.0/24")}})
			require.NoError(t, err)
			t.Cleanup(n.Close)
			return n
		}
		a, b, outside := start("127.1.0.1"), start("127.1.0.2"), start("127.1.1.3")
		time.Sleep(3 * time.Second)
		require.Equal(t, 2, a.Stats().Live)
		require.Equal(t, 2, b.Stats().Live)
		require.Equal(t, 1, outside.Stats().Live)
		require.Positive(t, a.Stats().TurnedAway.NotAllowed)
		_, err := outside.port.WriteTo([]byte{0}, "127.1.0.2:7946")
		require.NoError(t, err)
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, int64(1), b.Stats().TurnedAway.NotAllowed)
		require.Zero(t, b.Stats().TurnedAway.BadPackets)
	})
}

// What was turned away is in Stats by its reason: one of each.
func TestTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{})
		n, err := Start(context.Background(), Config{Name: "a", Bind: "127.1.0.1:7946", Secret: NewSecret(), Network: nw.Host("a", "127.1.0.1")})
		require.NoError(t, err)
		t.Cleanup(n.Close)
		host := nw.Host("stranger", "127.1.0.2")
		_, packets, err := host.Listen(t.Context(), "127.1.0.2:1")
		require.NoError(t, err)
		defer packets.Close()
		says := func(text string) {
			c, err := host.Dial(t.Context(), n.Addr())
			require.NoError(t, err)
			if text != "" {
				_, err = c.Write([]byte(text))
				require.NoError(t, err)
				_, _ = io.Copy(io.Discard, c)
			}
			c.Close()
			synctest.Wait()
		}
		proof := strings.Repeat("x", 32)
		says("GET / HTTP/1.1")
		says("")
		says("weir\x01\x01" + proof)
		says("weir\x02")
		require.Equal(t, TurnedAway{Garbage: 1, Silent: 1, WrongSecret: 1, Refused: 1}, n.Stats().TurnedAway)
		for _, p := range []string{"no packet of ours", "\xf5" + proof} {
			_, err := packets.WriteTo([]byte(p), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(n.Addr())))
			require.NoError(t, err)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		require.Equal(t, TurnedAway{Garbage: 1, Silent: 1, WrongSecret: 2, Refused: 1, BadPackets: 1}, n.Stats().TurnedAway)
	})
}
