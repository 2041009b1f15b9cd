package status

import (
	"fmt"
	"time"

	"github.com/weir-go/weir/cluster"
)

// Failure is a row of the failure table: by how much more than its limit a budget can be admitted, for each
// way in which a limit can behave in a split. Where all is well there is one row, and it says so.
type Failure struct {
	Situation string `json:"situation"`
	Full      string `json:"full"`
	Share     string `json:"share"`
	Quorum    string `json:"quorum"`
	// Well says that nothing is wrong.
	Well bool `json:"well"`
}

const nothing = "not at all"

// failures are the rows that apply.
func failures(s *cluster.Stats, c cluster.Condition) (rows []Failure) {
	add := func(when bool, full, share, quorum, format string, args ...any) {
		if when {
			rows = append(rows, Failure{Situation: fmt.Sprintf(format, args...), Full: full, Share: share, Quorum: quorum})
		}
	}
	missing := s.Known - s.Live
	add(missing > 0,
		fmt.Sprintf("%s × the limit: each missing node may be a side of its own", times(missing)),
		fmt.Sprintf("the shares of the missing, %d of %d of the limit, in windows that had begun before", missing, s.Known),
		nothing+": whoever reaches no majority of the voters denies",
		"%d of %d known nodes are missing: crashed, or on the other side of a split", missing, s.Known)
	add(s.Unreachable > 0,
		fmt.Sprintf("%s × the limit", times(s.Unreachable)),
		fmt.Sprintf("%s the limit, a share for each node that may decide alone", parts(s.Unreachable, s.Known)),
		nothing,
		"%s not answer this node, though gossip sees them: the link is cut, or they are stopped", nodes(s.Unreachable))
	add(!c.Ready, "one share for each node that decides alone", "one share for each node that decides alone", nothing,
		"this node is not ready: it starts, is alone, or leaves")
	add(s.Behind > time.Second,
		"if it crashes now: what it admitted meanwhile", "if it crashes now: what it admitted meanwhile", nothing,
		"copies have waited for %v to be shipped to a successor", s.Behind.Round(time.Millisecond))
	add(s.VoterLists > 1, "as above", "as above", "two such lists can each have a majority, if they differ by more than one name",
		"there are %d different lists of voters", s.VoterLists)
	if len(rows) == 0 {
		add(true, nothing, nothing, nothing, "healthy; joins, leaves and rolling restarts are exact too")
		rows[0].Well = true
	}
	return rows
}

func times(n int) string { return fmt.Sprintf("up to %d", n) }

func parts(n, of int) string { return fmt.Sprintf("%d/%d of", n, max(1, of)) }

func nodes(n int) string {
	if n == 1 {
		return "1 node does"
	}
	return fmt.Sprintf("%d nodes do", n)
}

// Count is a counter of what should not happen, or should be seldom. It counts since the start.
type Count struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit,omitempty"`
	Meaning string  `json:"meaning"`
	// Kind is "lost", "degraded", "behind" or "refused".
	Kind string `json:"kind"`
	// Bad says that somebody should look.
	Bad bool `json:"bad"`
}

// counters are what is lost, degraded, behind or refused.
func (p *Page) counters(s *cluster.Stats) (all []Count) {
	add := func(kind, name string, value float64, unit, meaning string) {
		all = append(all, Count{Name: name, Value: value, Unit: unit, Meaning: meaning, Kind: kind, Bad: value > 0})
	}
	count := func(kind, name string, value int64, meaning string) { add(kind, name, float64(value), "", meaning) }
	count("lost", "lost_slots", s.LostSlots, "counts that ended before another node had them")
	count("lost", "evicted", s.Evicted, "live budgets forgotten because MaxKeys was reached")
	count("lost", "copies_dropped", s.CopiesDropped, "copies forgotten or refused because MaxKeys was reached")
	count("degraded", "failovers", s.Failovers, "takes decided here although another node should have")
	count("degraded", "degraded", s.Degraded, "of those, without copies, or denied for want of a majority")
	count("degraded", "undone", s.Undone, "takes taken back because their answers came too late")
	add("behind", "behind", s.Behind.Seconds(), "s", "how long something has been waiting to be shipped")
	all[len(all)-1].Bad = s.Behind > time.Second
	count("behind", "pending", int64(s.Pending), "partitions that are on their way to this node")
	count("behind", "clock_steps", s.ClockSteps, "jumps of cluster time on this node")
	if g, ok := p.guardStats(); ok {
		count("lost", "lost_returns", g.LostReturns, "costs that the middleware could not give back")
		count("degraded", "failed_open", g.FailedOpen, "requests that passed without a decision")
		count("degraded", "local", g.Local, "requests that this process decided alone")
		count("degraded", "unavailable", g.Unavailable, "requests refused with 503")
	}
	t, r := s.TurnedAway, s.Refused
	count("refused", "strangers", t.NotAllowed+t.Crowded+t.Silent+t.Garbage+t.WrongSecret+t.Refused+t.Busy+t.BadPackets+t.Replays,
		"connections and packets that were not let in")
	count("refused", "not_believed", r.Slots+r.Origins+r.Rosters+r.ClockSteps+r.Goodbyes+r.Completes, "what members said and cannot be so")
	return all
}
