package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/port"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A "left" of the process before, heard after the one that has its name now: that one
// stays, with its connection.
func TestLateNewsOfAnEarlierProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		time.Sleep(time.Second)
		a := nodes[0]
		old := a.members.Get("b")
		require.True(t, a.members.Restarted(membership.Process{Name: "b", Origin: old.Origin + 1}, old.Addr, a.clock.age())) // heardOf, before the loop ran
		a.gossip.NotifyLeave(&memberlist.Node{Name: "b", Meta: membership.Meta{Origin: old.Origin, Leaving: true}.Encode()})
		for range 1000 { // there is no such process, so it must turn out which one there is
			time.Sleep(10 * time.Millisecond)
			require.True(t, a.members.Get("b").Live, "lost, though it answers")
		}
		require.Equal(t, nodes[1].origin, a.members.Get("b").Origin)
	})
}

// A take whose owner is taken for lost while the answer is on its way gets that answer.
func TestRetiredWhileATakeIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 20 * time.Millisecond}), "a", "b")
		time.Sleep(2 * time.Second)
		a, b, key := nodes[0], nodes[1], ""
		l := limiter.Limit{Quota: 100, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		for i := 0; key == "" || !holds(b, key, l); i++ {
			key = fmt.Sprint(i)
		}
		a.Take(t.Context(), key, l, 0) // connects
		done := make(chan bool)
		go func() { d, _ := a.Take(t.Context(), key, l, 1); done <- d.Allowed }()
		time.Sleep(25 * time.Millisecond) // b has counted it; the answer is on its way
		require.True(t, a.members.Lose(a.members.Get("b"), a.clock.age()))
		a.kick(a.changed)
		require.True(t, <-done)
		time.Sleep(time.Second)
		a.members.Alive(membership.Process{Name: "b", Origin: b.origin}, b.Addr(), false, a.clock.age())
		a.kick(a.changed)
		time.Sleep(2 * time.Second)
		d, _ := b.Take(t.Context(), key, l, 0)
		require.Equal(t, int64(99), d.Remaining, "one was admitted")
	})
}

// late is what gossip may still say of a process that is gone, as memberlist encodes it:
// some other node keeps a packet for seconds.
type late struct {
	Incarnation uint32
	Node        string
	From        string  `msgpack:",omitempty"` // of a "dead"
	Addr        []byte  `msgpack:",omitempty"` // of an "alive", as the rest
	Port        uint16  `msgpack:",omitempty"`
	Meta        []byte  `msgpack:",omitempty"`
	Vsn         []uint8 `msgpack:",omitempty"`
}

const lateAlive, lateDead = 4, 5

func (l late) send(t *testing.T, pc net.PacketConn, kind byte, to string) {
	body, err := msgpack.Marshal(l)
	require.NoError(t, err)
	b := append([]byte{port.PlainMark, 4}, "weir"...)
	_, err = pc.WriteTo(append(append(b, kind), body...), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	require.NoError(t, err)
}

// Whatever gossip still says of earlier processes of a living node, in whatever order and
// with whatever incarnation: nobody takes the living one for lost for a moment, nor an
// earlier one for it.
func TestNewsInAnyOrder(t *testing.T) {
	const rounds = 150
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 200 * time.Microsecond})
		nodes, _, _ := startCounted(t, nw, "a", "c", "b")
		_, pc, err := nw.Host("x", "127.1.0.99").Listen(context.Background(), "127.1.0.99:7946")
		require.NoError(t, err)
		defer pc.Close()
		time.Sleep(2 * time.Second)
		b, r := nodes[2], rand.New(rand.NewPCG(1, 2))
		peers := [2]*peer{nodes[0].view.Load().byName["b"], nodes[1].view.Load().byName["b"]}
		look := func(what string) {
			for i, n := range nodes[:2] {
				m := n.members.Get("b")
				require.True(t, m.Live && m.Origin == b.origin, "%s takes it for %+v after %s", n.Name(), m, what)
				require.Same(t, peers[i], n.view.Load().byName["b"], "the connection of %s, after %s", n.Name(), what)
			}
		}
		look("nothing")
		incarnation, talk := uint32(1), 0
		for range rounds {
			what := ""
			for range 1 + r.IntN(4) {
				to := nodes[r.IntN(2)]
				incarnation += uint32(1 + r.IntN(3))
				l := late{Incarnation: incarnation - uint32(r.IntN(3)), Node: "b"}
				kind := byte(lateDead)
				switch l.From = []string{"b", "a", "c"}[r.IntN(3)]; r.IntN(3) {
				case 0: // an "alive", perhaps one that says goodbye
					kind, l.From = lateAlive, ""
					l.Addr, l.Port, l.Vsn = b.addr.Addr().AsSlice(), b.addr.Port(), []uint8{1, 5, 2, membership.Version, membership.Version, membership.Version}
					l.Meta = membership.Meta{Origin: b.origin - 1 - ledger.Origin(r.IntN(3)), Leaving: r.IntN(2) == 0}.Encode()
				}
				l.send(t, pc, kind, to.Addr())
				what += fmt.Sprintf(" %d %+v to %s;", kind, l, to.Name())
				for range r.IntN(60) {
					time.Sleep(10 * time.Millisecond)
					look(what)
				}
				talk++
			}
			for range 300 {
				time.Sleep(10 * time.Millisecond)
				look(what)
			}
		}
		for _, n := range nodes[:2] { // memberlist has come to know that it lives
			alive := 0
			for _, name := range n.gossip.Alive() {
				if name == "b" {
					alive++
				}
			}
			require.Equal(t, 1, alive, "after %d packets", talk)
		}
	})
}

// A process whose clock was set back before it started has a smaller origin than the one
// before. What it says itself counts.
func TestRestartWithTheClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		time.Sleep(time.Second)
		a, b := nodes[0], nodes[1]
		later := membership.Process{Name: "b", Origin: b.origin + 1e9}
		for _, live := range []bool{true, false} {
			require.True(t, a.members.Alive(later, b.Addr(), false, a.clock.age()))
			if !live {
				require.True(t, a.members.Lose(a.members.Get("b"), a.clock.age()))
			}
			a.gossip.NotifyUpdate(&memberlist.Node{Name: "b", Addr: b.addr.Addr().AsSlice(), Port: b.addr.Port(), Meta: membership.Meta{Origin: b.origin}.Encode()})
			time.Sleep(5 * time.Second)
			m := a.members.Get("b")
			require.True(t, m.Live && m.Origin == b.origin, "%+v", m)
		}
	})
}
