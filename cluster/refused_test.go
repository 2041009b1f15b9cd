package cluster

import (
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// lies is a cluster of three, one of which, c, says what is not so: a member, on a member's
// connections.
type lies struct {
	t       *testing.T
	a, b, c *Node
	limit   limiter.Limit
	key     string // of a budget that a holds
}

func newLies(t *testing.T) *lies { return newLiesTuned(t, func(*Config) {}) }

func newLiesTuned(t *testing.T, change func(*Config)) *lies {
	nodes, _, _ := startTuned(t, simnet.New(simnet.Options{Latency: 200 * time.Microsecond}), change, "a", "b", "c")
	time.Sleep(7 * time.Second)
	x := &lies{t: t, a: nodes[0], b: nodes[1], c: nodes[2], limit: limiter.Limit{Quota: 10, Window: 24 * time.Hour, Lease: limiter.LeaseOff}}
	x.key = x.keyOf(x.a)
	return x
}

// keyOf is a key of a budget that a node holds.
func (x *lies) keyOf(n *Node) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint(i); holds(n, key, x.limit) {
			return key
		}
	}
}

// says has c say something to another node.
func (x *lies) says(to *Node, kind uint8, m transport.Message) error {
	return x.c.view.Load().byName[to.Name()].calls.Call(x.t.Context(), time.Now().Add(time.Second), kind, m)
}

// ships has c ship slots of the budget.
func (x *lies) ships(to *Node, slots ...ledger.Slot) {
	now := x.c.clock.now()
	for i := range slots {
		slots[i].ID = x.a.id(x.key, &x.limit)
	}
	require.NoError(x.t, x.says(to, wire.KindShip, &wire.Ship{Fingerprint: x.c.view.Load().table.Fingerprint(), Now: now, Slots: slots}))
}

// spend takes from the budget at all nodes in turn, and returns how often that was admitted.
func (x *lies) spend(times int) (admitted int) {
	for range times {
		for _, n := range []*Node{x.a, x.b, x.c} {
			d, err := n.Take(x.t.Context(), x.key, x.limit, 1)
			require.NoError(x.t, err)
			require.False(x.t, d.Degraded)
			if d.Allowed {
				admitted++
			}
		}
	}
	return admitted
}

// Counts that nobody can have made are refused and counted, whatever they would change: one
// whole budget is admitted.
func TestRefusesCountsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		require.Equal(t, 6, x.spend(2))
		own, ok := x.a.ledger.Own(x.a.id(x.key, &x.limit), x.a.clock.ownNow())
		require.True(t, ok)
		like := func(change func(s *ledger.Slot)) ledger.Slot {
			s := own.Move(x.a.clock.Ahead())
			change(&s)
			return s
		}
		far := 3 * int64(ledger.MaxWindow)
		forged := []ledger.Slot{
			like(func(s *ledger.Slot) { s.Version, s.Cur = s.Version+1_000_000, -100 }), // a's own, which it never made
			like(func(s *ledger.Slot) { s.Origin = 0 }),
			like(func(s *ledger.Slot) { s.Origin, s.Version = x.c.origin, 0 }),
			like(func(s *ledger.Slot) { s.Origin, s.Version, s.Cur = x.b.origin, math.MaxUint64, 0 }),
			like(func(s *ledger.Slot) { s.Origin, s.At, s.Expires = x.c.origin, s.At+far, math.MaxUint32 }),
			like(func(s *ledger.Slot) { s.Origin, s.Expires = x.c.origin, math.MaxUint32 }),
			like(func(s *ledger.Slot) { s.Origin, s.Cur = x.c.origin, math.MinInt32 }),
		}
		x.ships(x.a, forged...)
		require.EqualValues(t, len(forged), x.a.Stats().Refused.Slots)
		require.Equal(t, 4, x.spend(4), "what was left of the budget")
		require.Zero(t, x.b.Stats().Refused)
	})
}

// Who does not hold a partition hands it over to a third: nobody decides for it who does not
// know what was spent, and who holds it goes on.
func TestRefusesCompletesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		v := x.a.view.Load()
		for i := 0; ; i++ { // a budget that b holds, and of which a has no copies
			x.key = fmt.Sprint(i)
			id := x.a.id(x.key, &x.limit)
			if p, _ := v.holderPeer(id.Partition(), 1); holds(x.b, x.key, x.limit) && p != nil && p.name == "c" {
				break
			}
		}
		require.Equal(t, 6, x.spend(2))
		part, now := x.a.id(x.key, &x.limit).Partition(), x.c.clock.now()
		complete := &wire.Complete{Part: part, Now: now, Term: tenure.Term{Number: 50, Holder: x.a.self()}}
		for range 3 { // the first time it may not be known who holds
			require.ErrorContains(t, x.says(x.a, wire.KindComplete, complete), "another node holds the partition")
			time.Sleep(50 * time.Millisecond)
		}
		require.Positive(t, x.a.Stats().Refused.Completes)
		require.Error(t, x.says(x.b, wire.KindComplete, complete), "it is for another")
		claim := &wire.Claim{Table: v.table.Fingerprint(), Parts: []wire.Asked{{Part: part, Known: tenure.Term{Number: tenure.MaxNumber, Holder: x.c.self()}, Top: tenure.MaxNumber}}}
		require.NoError(t, x.says(x.b, wire.KindClaim, claim))
		require.NoError(t, x.says(x.a, wire.KindClaim, claim))
		require.True(t, holds(x.b, x.key, x.limit))
		require.False(t, holds(x.a, x.key, x.limit))
		require.Equal(t, 4, x.spend(4), "what was left of the budget")
		require.Zero(t, x.a.Stats().Pending)

		require.NoError(t, x.b.Leave(t.Context())) // and it can still change hands
		time.Sleep(time.Second)
		require.Equal(t, Partitions, x.a.Stats().Holding+x.c.Stats().Holding)
	})
}

// A member says by gossip, and on a connection that it opens in another's name, that this one
// leaves: that one is asked, and stays.
func TestRefusesGoodbyesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		require.Equal(t, 6, x.spend(2))
		forged, err := transport.NewPeer(x.c.transportConfig(), x.a.Addr(), x.b.hello().Encode, nil)
		require.NoError(t, err)
		defer forged.Close()
		require.NoError(t, forged.Call(t.Context(), time.Now().Add(time.Second), wire.KindLeaving, &wire.Leaving{}))
		at := netip.MustParseAddrPort(x.b.Addr())
		x.a.gossip.NotifyUpdate(&memberlist.Node{Name: "b", Addr: at.Addr().AsSlice(), Port: at.Port(),
			Meta: membership.Meta{Origin: x.b.origin, Leaving: true}.Encode()})
		time.Sleep(100 * time.Millisecond)
		require.Positive(t, x.a.Stats().Refused.Goodbyes)
		require.Equal(t, 3, x.a.Stats().Live)
		require.Equal(t, 3, len(x.a.view.Load().table.Members()))
		require.Equal(t, 4, x.spend(4), "what was left of the budget")

		require.NoError(t, x.b.Leave(t.Context())) // it is believed itself
		time.Sleep(time.Second)
		require.Equal(t, 2, x.a.Stats().Known)
		require.Equal(t, Partitions, x.a.Stats().Holding+x.c.Stats().Holding)
	})
}

// A member says that it has lived for years, and that it is another time: nobody's clock moves, in
// one step or bit by bit.
func TestRefusesTimeOfOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var older atomic.Int64
		x := newLiesTuned(t, func(c *Config) {
			if c.Name == "c" {
				c.Now = func() time.Time { return time.Now().Add(time.Duration(older.Load())) }
			}
		})
		require.Equal(t, 6, x.spend(2))
		offsets := func() [2]time.Duration { return [2]time.Duration{x.a.Stats().ClockOffset, x.b.Stats().ClockOffset} }
		before := offsets()
		older.Store(int64(3 * 365 * 24 * time.Hour))
		for range 1000 { // it insists
			x.c.clock.Begin(int64(time.Hour) - x.c.clock.Ahead())
			time.Sleep(10 * time.Millisecond)
		}
		require.Positive(t, x.a.Stats().Refused.ClockSteps+x.b.Stats().Refused.ClockSteps)
		require.Zero(t, x.a.Stats().ClockSteps+x.b.Stats().ClockSteps)
		require.Equal(t, before, offsets())
		require.Equal(t, 4, x.spend(4), "what was left of the budget")

		time.Sleep(10 * time.Second) // it comes back to their time
		away := x.c.clock.now() - x.a.clock.now()
		require.Less(t, time.Duration(away).Abs(), 100*time.Millisecond)
		for range 6000 { // and moves away from it as fast as it is followed
			x.c.clock.Begin(x.c.clock.Own(0) + int64(100*time.Microsecond))
			time.Sleep(10 * time.Millisecond)
		}
		for i, off := range offsets() {
			require.Less(t, off-before[i], ctime.StepOver+time.Minute/1000, "node %d", i)
		}
		require.Zero(t, x.a.Stats().ClockSteps+x.b.Stats().ClockSteps)
		require.Zero(t, x.spend(1))
	})
}

// A member tells of nodes that are missing, and that there never were: nobody's share becomes smaller.
func TestRefusesGhostsOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLiesTuned(t, func(c *Config) { c.Split = limiter.SplitShare })
		x.limit.Split = limiter.SplitShare
		require.Equal(t, 6, x.spend(2))
		const ghosts = 20
		for i := range ghosts {
			p := membership.Process{Name: fmt.Sprint("ghost", i), Origin: ledger.Origin(i + 1)}
			x.c.members.Alive(p, "127.9.0.1:7946", false, x.c.clock.age())
			x.c.members.Lose(x.c.members.Get(p.Name), x.c.clock.age())
		}
		for _, n := range []*Node{x.a, x.b} {
			x.c.meetAt(n.Addr())
			time.Sleep(time.Second)
		}
		require.EqualValues(t, ghosts, x.a.Stats().Refused.Rosters)
		time.Sleep(30 * time.Second) // they meet again and again
		for _, n := range []*Node{x.a, x.b} {
			require.Equal(t, 3, n.Stats().Known, n.Name())
			require.EqualValues(t, ghosts, n.Stats().Refused.Rosters, n.Name())
			require.Zero(t, n.Overshoot(x.limit))
		}
		require.Equal(t, 4, x.spend(4), "what was left of the budget")
	})
}

// A member sends counts of ever more processes: those of a node that comes later find a place.
func TestRefusesProcessesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		require.Equal(t, 6, x.spend(2))
		now := x.c.clock.now()
		for i := 0; i < ledger.OriginsMost; {
			ship := &wire.Ship{Fingerprint: x.c.view.Load().table.Fingerprint(), Now: now}
			for range wire.ShipSlots {
				i++
				ship.Slots = append(ship.Slots, ledger.Slot{ID: ledger.ID{Hi: uint64(i) << 40, Lo: uint64(i)}, Origin: ledger.Origin(i), At: now + int64(time.Hour),
					Cur: 1, Version: 1, Expires: uint32(now/1e9) + 7200})
			}
			require.NoError(t, x.says(x.a, wire.KindShip, ship))
		}
		s := x.a.Stats()
		require.Positive(t, s.Refused.Origins)
		require.Zero(t, s.CopiesDropped)
		require.Less(t, x.a.ledger.Origins(), ledger.OriginsMost*3/4)
		require.Equal(t, 4, x.spend(4), "what was left of the budget")
		late := ledger.Origin(1 << 60)
		require.Equal(t, ledger.News, x.a.ledger.Receive(ledger.Slot{ID: ledger.ID{Lo: 1}, Origin: late, At: now + int64(time.Hour), Cur: 1, Version: 1,
			Expires: uint32(now/1e9) + 7200}, x.a.clock.ownNow(), 0))
	})
}
