package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/ring"
)

// A node that refuses what is handed over to it is asked again with every beat of the
// loop, not as fast as it can refuse.
func TestRefusedHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nw := simnet.New(simnet.Options{Latency: 200 * time.Microsecond})
		nodes, _, written := startCounted(t, nw, "a", "b")
		a, b := nodes[0], nodes[1]
		b.timed.Store(false) // it refuses everything
		time.Sleep(300 * time.Millisecond)
		require.Zero(t, b.Stats().Holding)
		written[0].Store(0)
		time.Sleep(time.Second)
		beats, each := int64(time.Second/handBeat), int64(64) // bytes of a "complete", with id and length
		require.Less(t, written[0].Load(), beats*each*int64(Partitions), "bytes in a second")
		b.timed.Store(true)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, Partitions, a.Stats().Holding+b.Stats().Holding)
		require.NotZero(t, b.Stats().Holding)
	})
}

// startCounted starts nodes, and counts the bytes that each writes to streams it opened.
func startCounted(t *testing.T, nw *simnet.Network, names ...string) (nodes []*Node, hosts []*simnet.Host, written []*atomic.Int64) {
	return startTuned(t, nw, func(*Config) {}, names...)
}

// startTuned is the same with a change to the configuration.
func startTuned(t *testing.T, nw *simnet.Network, change func(*Config), names ...string) (nodes []*Node, hosts []*simnet.Host, written []*atomic.Int64) {
	t.Cleanup(func() { time.Sleep(time.Minute) }) // what gossip leaves behind runs out
	for i, name := range names {
		addr, sum := fmt.Sprintf("127.1.0.%d", i+1), new(atomic.Int64)
		host := nw.Host(name, addr)
		cfg := Config{Name: name, Bind: addr + ":7946", Join: []string{"127.1.0.1:7946"},
			Network: counted{host, sum}, Logger: slog.New(slog.DiscardHandler)}
		change(&cfg)
		n, err := Start(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(n.Close)
		nodes, hosts, written = append(nodes, n), append(hosts, host), append(written, sum)
		if i < len(names)-1 { // whoever comes last has nothing yet
			time.Sleep(time.Second)
		}
	}
	return nodes, hosts, written
}

// counted is a network that counts what is written to its streams.
type counted struct {
	Network
	written *atomic.Int64
}

func (c counted) Dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := c.Network.Dial(ctx, addr)
	return countedConn{conn, c.written}, err
}

type countedConn struct {
	net.Conn
	written *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.written.Add(int64(len(b)))
	return c.Conn.Write(b)
}

// A holder hands over only to an owner that has the same ring: one with another ring would
// send the partition on, or back.
func TestCedesOnlyToTheSameRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		a, b := nodes[0], nodes[1]
		time.Sleep(5 * time.Second)
		held := a.Stats().Holding
		mine := a.view.Load()
		other := *mine
		other.table, other.self, other.peers = newTable(t, "b"), -1, []*peer{mine.byName["b"]}
		a.view.Store(&other)
		a.transfer(mine, &other)
		a.kick(a.flush)
		time.Sleep(time.Second)
		require.Equal(t, held, a.Stats().Holding, "b has another ring")
		a.view.Store(mine)
		b.members.Goodbye(membership.Process{Name: "a", Origin: a.origin}) // as if it left
		b.kick(b.changed)
		a.leaving.Store(true)
		a.kick(a.changed)
		time.Sleep(time.Second)
		require.Equal(t, Partitions, b.Stats().Holding)
	})
}

// That two had the same ring once says nothing of when one of them has it again: what a holder
// was told before its ring changed is forgotten with the change.
func TestForgetsTheRingsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		time.Sleep(5 * time.Second)
		a := nodes[0]
		mine := *a.view.Load()
		other := mine
		b := mine.byName["b"]
		require.Equal(t, mine.table.Fingerprint(), b.table.Load())
		a.askTable(&mine, b) // the answer comes when the ring is another
		other.table, other.self, other.peers = newTable(t, "b"), -1, []*peer{b}
		a.moveTo(&other)
		synctest.Wait()
		require.Zero(t, b.table.Load())
		b.table.Store(other.table.Fingerprint() + 1) // of a ring that is ahead of this one
		a.moveTo(&mine)
		require.Equal(t, other.table.Fingerprint()+1, b.table.Load())
	})
}

// After a restart so quick that it is one change of members, the ring is as it was; all tell anew that
// they have sent what is due by it.
func TestQuickRestartIsToldAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b", "c")
		time.Sleep(5 * time.Second)
		a, c := nodes[0], nodes[2]
		v := a.view.Load()
		require.True(t, v.caught)
		p := membership.Process{Name: "c", Origin: c.origin + 1}
		require.True(t, a.members.Restarted(p, c.Addr(), a.clock.age()))
		require.True(t, a.members.CaughtUp(p, v.table.Fingerprint())) // so it is b that is waited for
		a.rebuild()
		require.Equal(t, v.table.Fingerprint(), a.view.Load().table.Fingerprint())
		require.False(t, a.view.Load().caught)
		require.False(t, a.members.HasCaughtUp("b", v.table.Fingerprint()))
		require.Zero(t, v.byName["b"].caughtUp.Load(), "nor has b been told")
		time.Sleep(time.Second)
		require.True(t, a.members.HasCaughtUp("b", v.table.Fingerprint()))
	})
}

// Two whose rings name each other, and who think that the other has the same, do not send a
// partition back and forth: it would be in the air for as long as they do, and nobody decide.
func TestNoBackAndForth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		a, b := nodes[0], nodes[1]
		time.Sleep(5 * time.Second)
		mine := a.view.Load()
		part := 0
		for !mine.owns(part) {
			part++
		}
		number := a.seats.of[part].Known().Number
		other := *mine
		other.table, other.self, other.peers = newTable(t, "b"), -1, []*peer{mine.byName["b"]}
		a.view.Store(&other)
		mine.byName["b"].table.Store(other.table.Fingerprint())
		b.view.Load().byName["a"].table.Store(mine.table.Fingerprint())
		a.transfer(mine, &other)
		a.kick(a.flush)
		time.Sleep(time.Second)
		require.LessOrEqual(t, max(a.seats.of[part].Known().Number, b.seats.of[part].Known().Number), number+2)
		require.Equal(t, Partitions, a.Stats().Holding+b.Stats().Holding)
		a.view.Store(mine)
		a.transfer(&other, mine)
	})
}

// A "complete" that is on its way when its receiver is lost from sight is sent on the new
// connection when that one is back.
func TestCompleteToWhoIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b")
		a, b := nodes[0], nodes[1]
		b.mu.Lock()
		b.empty = true // it takes nothing
		b.mu.Unlock()
		time.Sleep(time.Second)
		require.NotZero(t, a.seats.ceded.Load())
		v := *a.view.Load()
		old := v.byName["b"]
		p := a.peerFor(&view{}, a.members.Get("b"))
		v.byName, v.all, v.peers = map[string]*peer{"b": p}, []*peer{p}, []*peer{nil, p}
		v.byProcess = map[tenure.Process]*peer{b.self(): p}
		a.view.Store(&v)
		a.retire(old)
		b.mu.Lock()
		b.empty = false
		b.mu.Unlock()
		time.Sleep(time.Second)
		require.Zero(t, a.seats.ceded.Load())
		require.Equal(t, Partitions, a.Stats().Holding+b.Stats().Holding)
	})
}

func newTable(t *testing.T, names ...string) *ring.Table {
	table, err := ring.New(names)
	require.NoError(t, err)
	return table
}

// Whoever is told who holds a partition goes there from then on, until it hears of a newer
// term; an older one is no news.
func TestFollowsTheNewestTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _, _ := startCounted(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), "a", "b", "c")
		time.Sleep(2 * time.Second)
		c := nodes[2]
		v := c.view.Load()
		a, b := v.byName["a"], v.byName["b"]
		part := 0
		for v.peers[v.table.Owner(part)] != b {
			part++
		}
		term := func(number uint64, p *peer) tenure.Term {
			return tenure.Term{Number: number, Holder: tenure.Process(p.origin)}
		}
		for _, step := range []struct {
			from *peer
			term tenure.Term
			asks *peer
		}{
			{b, tenure.Term{}, b},
			{b, term(70, a), a},
			{b, term(69, b), a}, // older
			{a, term(71, b), b},
			{b, term(71, b), b}, // it says itself that it does not: the ring is as good as any guess
			{b, term(72, a), a},
			{a, term(72, a), b}, // and so does this one
		} {
			c.heed(part, step.from, step.term)
			p, searching := c.holder(v, part)
			require.False(t, searching)
			require.Equal(t, step.asks.name, p.name, "after %v of %s", step.term, step.from.name)
		}
	})
}
