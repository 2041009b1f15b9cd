package port

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// aPing is a message as memberlist makes it.
var aPing = append([]byte{kindPing}, "\x82\xa5SeqNo\x01\xa4Node\xa1b"...)

// open opens a port that gives every connection to Stream, as if it had proved the secret.
func open(t *testing.T, h *simnet.Host, addr string, secrets ...string) *Port {
	cfg := Config{Network: h, Label: "weir", Dial: h.Dial}
	for _, s := range secrets {
		cfg.Secrets = append(cfg.Secrets, []byte(s))
	}
	p := New(cfg)
	require.NoError(t, p.Open(context.Background(), addr, func(c net.Conn) { go p.Stream(c) }))
	t.Cleanup(func() { p.Shutdown() })
	return p
}

const addrA, addrB = "127.1.0.1:7946", "127.1.0.2:7946"

// Until memberlist has said that it lives, it hears nothing: a process that starts again
// would take news of the one before it for its own state.
func TestPortHoldsGossipBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{})
		a, b := open(t, nw.Host("a", "127.1.0.1"), addrA), open(t, nw.Host("b", "127.1.0.2"), addrB)
		say := func() {
			_, err := b.WriteTo(aPing, addrA)
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		c, err := b.DialTimeout(addrA, time.Second)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write(aPing)
		require.NoError(t, err)
		say()
		select {
		case <-a.StreamCh():
			require.Fail(t, "a stream came in")
		case <-a.PacketCh():
			require.Fail(t, "a packet came in")
		default:
		}

		a.Listen(a.Addr())
		got := make([]byte, 100)
		s := <-a.StreamCh()
		n, err := s.Read(got)
		require.NoError(t, err)
		require.Equal(t, aPing, got[:n])
		s.Close()
		say()
		require.Len(t, a.packets, 1, "what came early is lost")
		require.Equal(t, aPing, (<-a.PacketCh()).Buf)
	})
}

// What is sealed with a secret opens once, for who has it, at the address that it was meant
// for, in the cluster of its label; everything else is dropped, and counted by its reason.
func TestPacketsAreSealed(t *testing.T) {
	self := netip.MustParseAddrPort(addrA)
	with := func(label string, secrets ...string) *seal {
		s := newSeal(label)
		var all [][]byte
		for _, x := range secrets {
			all = append(all, []byte(x))
		}
		s.set(all)
		return s
	}
	us, them := with("weir", "one"), with("weir", "one")
	b := us.to(self, aPing)
	require.Len(t, b, len(aPing)+Overhead("weir"))
	require.NotContains(t, string(b), "SeqNo")
	expect := func(want verdict, s *seal, at netip.AddrPort, packet []byte, why string) {
		t.Helper()
		said, got := s.open(at, packet)
		require.Equal(t, want, got, why)
		if want == packetGood {
			require.Equal(t, aPing, said, why)
		}
	}
	expect(packetGood, them, self, b, "as it was sent")
	expect(packetAgain, them, self, b, "a replay")
	expect(packetGood, with("weir", "two", "one"), self, b, "any of the secrets")
	expect(packetWrong, with("weir", "two"), self, b, "another secret")
	expect(packetWrong, with("other", "one"), self, b, "another label")
	expect(packetWrong, with("weir", "one"), netip.MustParseAddrPort(addrB), b, "meant for another node")
	expect(packetGood, with("weir", "one"), netip.AddrPortFrom(netip.AddrFrom16(self.Addr().As16()), self.Port()), b, "the same address")
	for i := range b {
		c := append([]byte(nil), b...)
		c[i] ^= 1
		_, v := with("weir", "one").open(self, c)
		require.NotEqual(t, packetGood, v, "byte %d", i)
		_, v = with("weir", "one").open(self, b[:i])
		require.NotEqual(t, packetGood, v, "%d bytes", i)
	}
	plain := with("weir")
	expect(packetBad, them, self, plain.to(self, aPing), "plain")
	expect(packetBad, plain, self, b, "sealed, and nobody has a secret")
	expect(packetGood, plain, self, plain.to(self, aPing), "plain among those without a secret")
	expect(packetBad, with("other"), self, plain.to(self, aPing), "with another label")

	us.number = 1<<32 - 2
	last, first := us.to(self, aPing), us.to(self, aPing)
	require.NotEqual(t, last[1:1+senderLen], first[1:1+senderLen], "numbers are used once")
	expect(packetGood, them, self, first, "of the new sender")
	expect(packetGood, them, self, last, "of the old one, late")
}

// Packets may overtake each other within the window, and each is taken once.
func TestReplays(t *testing.T) {
	s := senders{of: map[[senderLen]byte]*window{}}
	a := [senderLen]byte{1}
	for _, x := range []struct {
		number uint32
		first  bool
	}{{5, true}, {5, false}, {4, true}, {6, true}, {4, false}, {1, true}, {300, true}, {44, false}, {45, true}, {45, false},
		{299, true}, {300, false}, {301, true}, {46, true}, {45, false}, {10000, true}, {9999, true}, {300, false}, {1<<32 - 1, true}, {1<<32 - 1, false}} {
		require.Equal(t, x.first, s.first(a, x.number), "%d", x.number)
	}
	for i := range 3 * sendersMax {
		require.True(t, s.first([senderLen]byte{2, byte(i), byte(i >> 8)}, 1))
		require.False(t, s.first(a, 1<<32-1), "who is heard is not forgotten")
		require.LessOrEqual(t, len(s.of), sendersMax)
	}
}

// Everything that a port drops is counted.
func TestPortCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{})
		a := open(t, nw.Host("a", "127.1.0.1"), addrA, "one")
		a.Listen(a.Addr())
		host := nw.Host("b", "127.1.0.2")
		_, pc, err := host.Listen(t.Context(), addrB)
		require.NoError(t, err)
		defer pc.Close()
		good, wrong := newSeal("weir"), newSeal("weir")
		good.set([][]byte{[]byte("one")})
		wrong.set([][]byte{[]byte("two")})
		once := good.to(a.Addr(), aPing)
		for _, b := range [][]byte{once, once, wrong.to(a.Addr(), aPing), {SealedMark}, aPing,
			good.to(a.Addr(), nil), good.to(a.Addr(), []byte{kindCompound, 255})} {
			_, err := pc.WriteTo(b, net.UDPAddrFromAddrPort(a.Addr()))
			require.NoError(t, err)
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		require.Equal(t, Stats{BadPackets: 4, WrongSecret: 1, Replays: 1}, a.Stats())
		require.Len(t, a.packets, 1)

		for _, said := range []string{"\xff\xff\xff\xff", "\x00\x00\x00\x01\x06", "\x00\x00\x00\x02\x0a\x00"} {
			c, err := host.Dial(t.Context(), addrA)
			require.NoError(t, err)
			c.Write([]byte(said))
			s := <-a.StreamCh()
			_, err = s.Read(make([]byte, 10))
			require.ErrorIs(t, err, errScreened, "%q", said)
			s.Close()
			c.Close()
		}
		require.Equal(t, int64(7), a.Stats().BadPackets)
	})
}

// A member that opens more streams than its share finds them closed, and those that end
// make room.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{})
		a, b := open(t, nw.Host("a", "127.1.0.1"), addrA), open(t, nw.Host("b", "127.1.0.2"), addrB)
		a.Listen(a.Addr())
		dial := func() net.Conn {
			c, err := b.DialAddressTimeout(memberlist.Address{Addr: addrA}, time.Second)
			require.NoError(t, err)
			synctest.Wait()
			return c
		}
		var taken []net.Conn
		for range streamsMax {
			defer dial().Close()
			taken = append(taken, <-a.StreamCh())
		}
		c := dial()
		c.SetReadDeadline(time.Now().Add(time.Second))
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
		var late net.Error
		require.False(t, err != nil && asTimeout(err, &late), "it was closed: %v", err)
		taken[0].Close()
		taken[0].Close()
		defer dial().Close()
		(<-a.StreamCh()).Close()
		require.Len(t, a.places, streamsMax-1)
		for _, s := range taken {
			s.Close()
		}
	})
}

func asTimeout(err error, into *net.Error) bool {
	e, ok := err.(net.Error)
	*into = e
	return ok && e.Timeout()
}

// Link-local addresses travel without their zone, and are dialled with this node's.
func TestZones(t *testing.T) {
	for _, c := range []struct{ addr, zone, dialled, told string }{
		{"[fe80::1]:7946", "eth0", "[fe80::1%eth0]:7946", "[fe80::1]:7946"},
		{"[fe80::1%eth1]:7946", "eth0", "[fe80::1%eth1]:7946", "[fe80::1]:7946"},
		{"[fe80::1]:7946", "", "[fe80::1]:7946", "[fe80::1]:7946"},
		{"[2001:db8::1]:7946", "eth0", "[2001:db8::1]:7946", "[2001:db8::1]:7946"},
		{"10.0.0.1:7946", "eth0", "10.0.0.1:7946", "10.0.0.1:7946"},
		{"nonsense", "eth0", "nonsense", "nonsense"},
	} {
		require.Equal(t, c.dialled, InZone(c.addr, c.zone), c.addr)
		require.Equal(t, c.told, WithoutZone(c.addr), c.addr)
	}
}

func TestOutboundFollowsTheSeeds(t *testing.T) {
	ip, reaches, err := Outbound([]string{"no address", "127.0.0.1:7946"})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", ip.String())
	require.Equal(t, "127.0.0.1:7946", reaches)
	if ip, reaches, err = Outbound([]string{"no address"}); err == nil { // a machine without a network has none
		require.False(t, ip.IsUnspecified() || ip.IsLoopback())
		require.Empty(t, reaches)
	}
}
