package port

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// Until memberlist has said that it lives, it hears nothing: a process that starts again
// would take news of the one before it for its own state.
func TestPortHoldsGossipBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{})
		a, b := nw.Host("a", "127.1.0.1"), nw.Host("b", "127.1.0.2")
		p, err := Open(t.Context(), a, "127.1.0.1:7946", "", func(c net.Conn) { c.Close() })
		require.NoError(t, err)
		defer p.Shutdown()
		_, pc, err := b.Listen(t.Context(), "127.1.0.2:7946")
		require.NoError(t, err)
		defer pc.Close()
		say := func(text string) {
			_, err := pc.WriteTo(append([]byte{GossipMark}, text...), net.UDPAddrFromAddrPort(p.Addr()))
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		c, err := b.Dial(t.Context(), p.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte{GossipMark})
		require.NoError(t, err)
		say("early")
		select {
		case <-p.StreamCh():
			require.Fail(t, "a stream came in")
		case <-p.PacketCh():
			require.Fail(t, "a packet came in")
		default:
		}

		p.Listen()
		(<-p.StreamCh()).Close()
		say("late")
		require.Equal(t, "late", string((<-p.PacketCh()).Buf[1:]), "what came early is lost")
	})
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
