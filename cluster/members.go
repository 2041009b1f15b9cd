package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
)

// Member is a node as this one sees it, at the moment of the question.
type Member struct {
	Name string
	Addr string // "ip:port"
	Self bool   // it is this node
	// Version is that of weir in it, such as "0.9.0": the [Version] of its process. "" where it has
	// not told, or not yet: gossip brings it.
	Version string
	// State is "living"; "visiting", it came while others were missing, and counts for no share or
	// quorum before they are back; "returning", it came back less than three seconds ago;
	// "quiet", it lives by gossip and does not answer this node; "missing", it vanished without a
	// goodbye and still counts; "missing-guest"; "leaving", it says goodbye and hands over what it
	// has; or "left", also of this node when it is closed.
	State string
	// Unreachable says that this node gets no answers from it.
	Unreachable bool
	// RoundTrip is how long its answers take, smoothed; 0 where that is not known.
	RoundTrip time.Duration
	// Age is how long its process has lived; 0 where that is not known.
	Age time.Duration
	// SameTime says that it has this node's cluster time, to within half of ClockUnsure and 250 ms.
	SameTime    bool
	ClockUnsure time.Duration
	// ClockOffset is cluster time less the node's own wall clock, as it told last: for Self that of
	// Stats. 0 where it has not told.
	ClockOffset time.Duration
	// Partitions is how many it owns by the ring; it decides for those that it holds.
	Partitions int
}

var memberStates = map[membership.State]string{
	membership.Living: "living", membership.Visiting: "visiting", membership.Returning: "returning", membership.Quiet: "quiet",
	membership.Missing: "missing", membership.MissingGuest: "missing-guest", membership.Left: "left",
}

// Members are all nodes that this one knows, in the order of their names: those that vanished until
// they are forgotten (Config.ForgetAfter), and those that left for as long.
func (n *Node) Members() []Member {
	v, age := n.view.Load(), n.clock.age()
	owned := map[string]int{}
	for part := range Partitions {
		if i := v.table.Owner(part); i >= 0 {
			owned[v.table.Members()[i]]++
		}
	}
	self := Member{Name: n.cfg.Name, Addr: n.Addr(), Self: true, Version: Version, State: "living", Age: age, SameTime: true, Partitions: owned[n.cfg.Name],
		ClockOffset: -n.wallAhead()}
	switch {
	case n.closed.Load():
		self.State, self.Partitions = "left", 0
	case n.leaving.Load():
		self.State = "leaving"
	}
	var all []Member
	add := func(m Member) { all = append(all, m) }
	for _, x := range n.members.Snapshot(age).Members {
		if self.Self && x.Name > self.Name {
			add(self)
			self.Self = false
		}
		state, known := memberStates[x.State(age, n.cfg.ForgetAfter)]
		if !known {
			continue // it is remembered for its address at most
		}
		m := Member{Name: x.Name, Addr: x.Addr, Version: x.Weir, State: state, Partitions: owned[x.Name]}
		if p := v.byName[x.Name]; p != nil && p.origin == x.Origin {
			if x.Leaving {
				m.State = "leaving"
			}
			m.Unreachable, m.RoundTrip = p.down.Load(), p.pace.Smooth()
			m.SameTime, m.ClockUnsure = p.time.Agreed(), p.time.Unsure()
			if wall, ok := p.time.Wall(); ok {
				m.ClockOffset = -wall
			}
			if born, ok := p.time.Born(); ok {
				m.Age = age - born
			}
		}
		add(m)
	}
	if self.Self {
		add(self)
	}
	return all
}
