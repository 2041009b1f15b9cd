package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// versioned starts a node on a simulated network, and returns what it logs.
func versioned(t *testing.T, nw *simnet.Network, ip string, join ...string) (*Node, *lockedBuilder) {
	t.Helper()
	log := &lockedBuilder{}
	n, err := Start(context.Background(), Config{Name: ip, Bind: ip + ":7946", Join: join, JoinTimeout: time.Second,
		Network: nw.Host(ip, ip), Logger: textLogger(log)})
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n, log
}

// Members tell which version they run, by gossip; of who does not tell it is not known.
func TestMembersTellTheirVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		a, _ := versioned(t, nw, "127.1.0.1")
		b, _ := versioned(t, nw, "127.1.0.2", a.Addr())
		time.Sleep(3 * time.Second)
		versions := func(n *Node) (all []string) {
			for _, m := range n.Members() {
				all = append(all, m.Version)
			}
			return all
		}
		require.Equal(t, []string{Version, Version}, versions(a))
		require.Equal(t, []string{Version, Version}, versions(b))
		told := func(meta membership.Meta) {
			a.gossip.NotifyUpdate(&memberlist.Node{Name: b.Name(), Addr: b.addr.Addr().AsSlice(), Port: b.addr.Port(), Meta: meta.Encode()})
		}
		told(membership.Meta{Origin: b.origin, Weir: "0.10.0"})
		require.Equal(t, []string{Version, "0.10.0"}, versions(a))
		told(membership.Meta{Origin: b.origin})
		require.Equal(t, []string{Version, ""}, versions(a))
		told(membership.Meta{Origin: b.origin + 1, Weir: "0.11.0"})
		require.Equal(t, []string{Version, "0.11.0"}, versions(a), "a new process")
	})
}

// Gossip has the major version of the wire, and no other.
func TestGossipHasTheMajorOfTheWire(t *testing.T) {
	require.True(t, strings.HasPrefix(Wire, fmt.Sprintf("%d.", membership.Version)), Wire)
}

const otherScheme = "consistent-2.0.0"

// A node that places keys by another scheme is refused, by whichever way it comes, and the log
// says what to do: of the one that refuses, and of the one that wanted to join.
func TestAnotherRingSchemeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		a, log := versioned(t, nw, "127.1.0.1")
		const advice = "run versions of one ring scheme, see docs/upgrading.md"
		newer := nw.Host("127.1.0.2", "127.1.0.2")
		hello := func() []byte {
			return wire.Hello{Scheme: otherScheme, Name: "b", Addr: "127.1.0.2:7946", Origin: 1, Weir: "2.0.0"}.Encode()
		}
		p, err := transport.NewPeer(transport.Config{Label: a.cfg.Label, Dial: newer.Dial}, a.Addr(), hello, func([]byte, time.Duration) error { return nil })
		require.NoError(t, err)
		defer p.Close()
		require.Error(t, p.Call(t.Context(), time.Now().Add(time.Second), wire.KindTime, &wire.Time{}))
		require.ErrorContains(t, p.Err(), advice)
		require.ErrorContains(t, p.Err(), `node "b", weir "2.0.0", is "consistent-2.0.0"`)

		meta := transport.AppendUint(transport.AppendArrayLen(nil, 5), membership.Version)
		meta = transport.AppendUint(transport.AppendString(meta, otherScheme), 1)
		meta = transport.AppendString(transport.AppendBool(meta, false), "2.0.0")
		require.ErrorContains(t, a.gossip.NotifyAlive(&memberlist.Node{Name: "c", Meta: meta}), advice)
		require.Len(t, a.Members(), 1)

		serve := fakeNode(t, nw, "127.1.0.3")
		srv, err := transport.NewServer(transport.Config{Label: a.cfg.Label}, refuser{transport.VersionError(advice + ": and more")})
		require.NoError(t, err)
		defer srv.Close()
		go serve(srv.ServeConn)
		joins, joinLog := versioned(t, nw, "127.1.0.4", "127.1.0.3:7946")
		a.logs.Close() // writes what waits
		joins.logs.Close()
		require.Equal(t, 2, strings.Count(log.String(), `msg="refused a node"`), log)
		require.Equal(t, 3, strings.Count(log.String(), advice), "and the connection's own line")
		require.Contains(t, log.String(), Version)
		require.Contains(t, log.String(), ring.Scheme)
		require.Contains(t, joinLog.String(), `msg="cannot join: refused"`)
		require.Contains(t, joinLog.String(), advice)
	})
}

// A node that was started in the course of an upgrade, and cannot talk to those that are there, is
// not ready beside them, however long it tries; when they are gone, it is.
func TestNotReadyBesideAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		serve := fakeNode(t, nw, "127.1.0.3")
		srv, err := transport.NewServer(transport.Config{Label: "weir"}, refuser{transport.VersionError("another ring")})
		require.NoError(t, err)
		defer srv.Close()
		go serve(srv.ServeConn)
		n, log := versioned(t, nw, "127.1.0.4", "127.1.0.3:7946")
		for range 20 {
			time.Sleep(time.Second)
			require.False(t, n.Ready())
			require.Contains(t, n.Condition().Reasons, "the node is alone: its seeds refuse it, since they are of another version")
		}
		srv.Close()
		time.Sleep(10 * time.Second)
		require.True(t, n.Ready())
		n.logs.Close()
		require.Contains(t, log.String(), `level=ERROR msg="alone: those in Join are of another version: not ready while they answer"`)
		require.Contains(t, log.String(), "ready, with whole budgets of its own")
	})
}

// A node whose wire has another major version is refused at the door, before anything is decoded
// that may have another form; a node that joins such a cluster says why it cannot.
func TestAnotherWireIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: time.Millisecond})
		a, log := versioned(t, nw, "127.1.0.1")
		const advice = "run versions of one wire, see docs/upgrading.md"
		newer, err := nw.Host("127.1.0.2", "127.1.0.2").Dial(t.Context(), a.Addr())
		require.NoError(t, err)
		defer newer.Close()
		greeting := make([]byte, 17)
		_, err = io.ReadFull(newer, greeting)
		require.NoError(t, err)
		_, err = io.WriteString(newer, transport.Preface+"\x02")
		require.NoError(t, err)
		answer, err := io.ReadAll(newer)
		require.NoError(t, err)
		require.Equal(t, []byte{1}, answer)
		require.EqualValues(t, 1, a.Stats().TurnedAway.Refused)

		serve := fakeNode(t, nw, "127.1.0.3")
		go serve(func(c net.Conn) {
			defer c.Close()
			c.Write(greeting)
			io.ReadFull(c, make([]byte, len(transport.Preface)+1))
			c.Write([]byte{1})
		})
		joins, joinLog := versioned(t, nw, "127.1.0.4", "127.1.0.3:7946")
		a.logs.Close()
		joins.logs.Close()
		require.Contains(t, log.String(), `msg="transport: refused a connection"`)
		require.Contains(t, log.String(), advice)
		require.Contains(t, joinLog.String(), `msg="cannot join: refused"`)
		require.Contains(t, joinLog.String(), advice)
	})
}

// fakeNode listens where a node would be; what it returns hands connections on until the test ends.
func fakeNode(t *testing.T, nw *simnet.Network, ip string) (serve func(func(net.Conn))) {
	t.Helper()
	ln, packets, err := nw.Host(ip, ip).Listen(t.Context(), ip+":7946")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close(); packets.Close() })
	return func(each func(net.Conn)) {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			each(c)
		}
	}
}

// refuser refuses every hello.
type refuser struct{ why error }

func (r refuser) Hello(net.Addr, []byte) (any, []byte, error) { return nil, nil, r.why }

func (refuser) Serve(_ *transport.Session, _ uint64, _ uint8, _, buf []byte) ([]byte, bool, error) {
	return buf, true, nil
}

func textLogger(to io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }
