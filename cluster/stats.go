package cluster

import (
	"time"

	"github.com/weir-go/weir/limiter"
)

// Stats is a reading of a node's counters. Counts are since the start.
type Stats struct {
	limiter.Stats
	Live        int           // members that this node sees, itself among them
	Known       int           // and those that vanished not long ago, or ExpectedNodes; without who came since they are missing
	Unreachable int           // members that it sees and that do not answer it
	Holding     int           // partitions that this node decides for
	Pending     int           // partitions that it owns and another still decides for
	Forwarded   int64         // takes that began here and were another node's to decide
	Failovers   int64         // decided here although another node should have
	Degraded    int64         // of those, without copies; or denied for want of a majority of the voters
	Undone      int64         // takes that were taken back elsewhere, because their answers came too late
	Shipped     int64         // copies acknowledged by others
	Remembered  int64         // denied here because the owner had denied a moment ago
	Leased      int64         // admitted here from a lease
	LeasedOut   int           // budgets of which other nodes lease a part
	Votes       bool          // this node is one of Config.Voters, and knows what it has to know for that
	VoterLists  int           // different lists of voters that it has seen, its own among them
	Behind      time.Duration // how long something has been waiting to be shipped
	RingChanges int64         // how often the ring became another one: nodes came, left or vanished
	ClockSteps  int64         // jumps of cluster time here
	ClockOffset time.Duration // cluster time less this node's wall clock
	TurnedAway  TurnedAway    // what was not let in
	Refused     Refused       // what members said and this node did not believe
	WallOffset  time.Duration // the wall clock by which days, weeks and months begin, less this node's
}

// Stats reads the counters.
func (n *Node) Stats() Stats {
	v := n.view.Load()
	s := Stats{Stats: limiter.Stats(n.ledger.Stats()), Live: v.seen, Known: v.sets.Base, Pending: int(n.seats.waiting.Load()),
		Forwarded: n.forwarded.Load(), Failovers: n.failovers.Load(), Degraded: n.degraded.Load(),
		Undone: n.undone.Load(), Shipped: n.shipped.Load(), Remembered: n.near.Denied(), Leased: n.near.Leased(),
		LeasedOut: n.leases.Leased(), RingChanges: n.ringChanges.Load(), ClockSteps: n.clockSteps.Load(),
		ClockOffset: time.Duration(n.clock.At(n.clock.read()) - n.clock.wallNow().UnixNano())}
	s.TurnedAway, s.Refused = n.turnedAway(), n.refused.read()
	s.WallOffset = s.ClockOffset + n.wall.Ahead()
	s.Holding = n.ledger.Held().Len()
	for _, p := range v.all {
		if p.down.Load() {
			s.Unreachable++
		}
	}
	if q := n.quorum; q != nil {
		s.Votes, s.VoterLists = q.seenLists()
	}
	if b := n.behind.Load(); b != 0 {
		s.Behind = n.clock.age() - time.Duration(b)
	}
	return s
}
