package simnet

import (
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPacketDelivery(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		_, p := w.listen(w.a, "10.0.0.1:0")
		b := []byte("hello")
		_, err := p.WriteTo(b, udp(echoAddr))
		require.NoError(t, err)
		copy(b, "XXXXX") // the caller's again
		start := time.Now()
		got, from, err := receive(w.packets, time.Second)
		require.NoError(t, err)
		assert.Equal(t, "hello", got)
		assert.Equal(t, lat, time.Since(start))
		assert.Equal(t, p.LocalAddr().String(), from.String())

		// The sender's address is good for an answer.
		_, err = w.packets.WriteTo([]byte("yes"), from)
		require.NoError(t, err)
		got, _, err = receive(p, time.Second)
		require.NoError(t, err)
		assert.Equal(t, "yes", got)
	})
}

func TestPacketsStayInOrderWithoutJitter(t *testing.T) {
	for _, latency := range []time.Duration{0, lat} {
		inBubble(t, Options{Latency: latency}, func(t *testing.T, w *world) {
			_, p := w.listen(w.a, "10.0.0.1:0")
			var want []string
			for i := range 200 {
				want = append(want, fmt.Sprint(i))
				_, err := p.WriteTo([]byte(want[i]), udp(echoAddr))
				require.NoError(t, err)
			}
			assert.Equal(t, want, drainPackets(w.packets))
		})
	}
}

func TestPacketLossDuplicationAndJitter(t *testing.T) {
	o := Options{Seed: 7, Latency: lat, Jitter: lat, Loss: 0.2, Duplicate: 0.3, PacketQueue: 5000}
	inBubble(t, o, func(t *testing.T, w *world) {
		_, p := w.listen(w.a, "10.0.0.1:0")
		const sent = 2000
		for i := range sent {
			_, err := p.WriteTo(fmt.Appendf(nil, "%05d", i), udp(echoAddr))
			require.NoError(t, err)
		}
		got := drainPackets(w.packets)
		times := map[string]int{}
		for _, s := range got {
			times[s]++
		}
		twice, inversions := 0, 0
		for _, n := range times {
			require.LessOrEqual(t, n, 2)
			if n == 2 {
				twice++
			}
		}
		for i := 1; i < len(got); i++ {
			if got[i] < got[i-1] {
				inversions++
			}
		}
		s := w.Stats()
		assert.Equal(t, sent, s.Packets)
		assert.Equal(t, 5*sent, s.Bytes)
		assert.InDelta(t, 0.2*1.3*sent, s.Lost, 100)
		assert.InDelta(t, 0.3*0.8*0.8*sent, twice, 100)
		assert.Greater(t, inversions, 100, "jitter reorders packets")
	})
}

// What is held on the way is overtaken, and arrives in the end.
func TestPacketsThatAreLate(t *testing.T) {
	inBubble(t, Options{Seed: 3, Latency: lat, Late: 0.2, LateMax: 5 * time.Second, PacketQueue: 5000}, func(t *testing.T, w *world) {
		_, p := w.listen(w.a, "10.0.0.1:0")
		const sent = 1000
		start := time.Now()
		for i := range sent {
			_, err := p.WriteTo(fmt.Appendf(nil, "%05d", i), udp(echoAddr))
			require.NoError(t, err)
		}
		var inTime, late []string
		for range sent {
			s, _, err := receive(w.packets, 5*time.Second)
			require.NoError(t, err)
			if time.Since(start) <= lat {
				inTime = append(inTime, s)
			} else {
				late = append(late, s)
			}
		}
		assert.IsIncreasing(t, inTime)
		assert.InDelta(t, 0.8*sent, len(inTime), 60)
		assert.Len(t, late, sent-len(inTime))
		assert.Equal(t, len(late), w.Stats().Late)
		assert.NotEqual(t, slices.Sorted(slices.Values(late)), late)
	})
}

func TestPacketQueueOverflows(t *testing.T) {
	inBubble(t, Options{PacketQueue: 3}, func(t *testing.T, w *world) {
		_, p := w.listen(w.a, "10.0.0.1:0")
		for i := range 5 {
			_, err := p.WriteTo(fmt.Append(nil, i), udp(echoAddr))
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"0", "1", "2"}, drainPackets(w.packets))
		assert.Equal(t, 2, w.Stats().QueueDrops)
	})
}

func TestPacketsAreLostInACut(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		_, p := w.listen(w.a, "10.0.0.1:0")
		send := func(s string) {
			_, err := p.WriteTo([]byte(s), udp(echoAddr))
			require.NoError(t, err)
		}
		send("cut on its way")
		w.Cut("a", "b")
		send("cut before")
		time.Sleep(time.Second)
		w.Mend("a", "b")
		w.Cut("b", "a")
		send("the other way is cut")
		assert.Equal(t, []string{"the other way is cut"}, drainPackets(w.packets))
		assert.Equal(t, 2, w.Stats().CutDrops)
	})
}

func TestPacketSocketErrors(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		l, p := w.listen(w.a, "10.0.0.1:0")
		_, err := p.WriteTo(nil, l.Addr())
		assert.ErrorIs(t, err, errNotUDP)
		_, err = p.WriteTo(make([]byte, packetMax+1), udp(echoAddr))
		assert.ErrorIs(t, err, syscall.EMSGSIZE)
		_, err = p.WriteTo([]byte("to nobody"), udp("10.0.0.2:1"))
		assert.NoError(t, err)
		_, err = p.WriteTo([]byte("to nowhere"), udp("10.9.9.9:1"))
		assert.NoError(t, err)

		_, _, err = receive(p, time.Second)
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_ = p.SetWriteDeadline(time.Now())
		_, err = p.WriteTo(nil, udp(echoAddr))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)

		_ = p.SetDeadline(time.Time{})
		time.AfterFunc(time.Hour, func() { _ = p.Close() })
		_, _, err = p.ReadFrom(make([]byte, 1))
		assert.ErrorIs(t, err, net.ErrClosed, "Close ends a read in progress")
		_, err = p.WriteTo(nil, udp(echoAddr))
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.ErrorIs(t, p.Close(), net.ErrClosed)
		assert.ErrorIs(t, p.SetDeadline(time.Time{}), net.ErrClosed)
	})
}

func TestLinkOverridesOneDirection(t *testing.T) {
	inBubble(t, Options{Latency: lat}, func(t *testing.T, w *world) {
		w.Link("a", "b", time.Second, 0, 0)
		c := w.dial(w.a, echoAddr)
		_, took, err := ask(c, "x", time.Minute)
		require.NoError(t, err)
		assert.Equal(t, time.Second+lat, took)

		w.Link("a", "b", 0, 0, 1)
		_, p := w.listen(w.a, "10.0.0.1:0")
		_, err = p.WriteTo([]byte("x"), udp(echoAddr))
		require.NoError(t, err)
		assert.Empty(t, drainPackets(w.packets))

		w.Set(func(o *Options) { o.Latency = time.Minute })
		_, took, err = ask(c, "y", time.Hour)
		require.NoError(t, err)
		assert.Equal(t, time.Minute, took, "the other direction has the new default")
	})
}

func TestAHostReachesItselfThroughEveryFault(t *testing.T) {
	inBubble(t, Options{Latency: lat, Loss: 1}, func(t *testing.T, w *world) {
		w.Partition([]string{"a"}, []string{"b"}, []string{"c"})
		c := w.dial(w.b, echoAddr)
		_, took, err := ask(c, "x", time.Second)
		require.NoError(t, err)
		assert.Zero(t, took)
		_, err = w.packets.WriteTo([]byte("me"), udp(echoAddr))
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, []string{"me"}, drainPackets(w.packets))
	})
}

func TestPartitionGroups(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, w *world) {
		sees := func(from, to *Host) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.upLocked(from, to)
		}
		w.Partition([]string{"a", "b"})
		assert.True(t, sees(w.a, w.b))
		assert.False(t, sees(w.a, w.c), "c is alone in the group of the unnamed")
		w.Partition([]string{"a"})
		assert.False(t, sees(w.a, w.b), "a new partition replaces the old one")
		assert.True(t, sees(w.b, w.c))
		w.Cut("b", "c")
		assert.False(t, sees(w.b, w.c))
		assert.True(t, sees(w.c, w.b))
		w.Heal()
		assert.True(t, sees(w.a, w.b) && sees(w.b, w.c))

		assert.Panics(t, func() { New(Options{}).Cut("a", "b") }, "no such hosts")
		assert.Panics(t, func() { New(Options{}).Partition([]string{"a"}) })
	})
}
