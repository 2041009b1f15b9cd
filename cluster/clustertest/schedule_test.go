package clustertest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-go/weir/limiter"
)

// A schedule is all that a seed stands for: a cluster, some budgets, and the steps of
// faults and traffic that are played on it. It is made before anything runs, so it
// can be printed and played again, also on an imitation of a cluster.
type schedule struct {
	seed     uint64
	nodes    int
	replicas int
	busy     bool // more traffic, for budgets that are leased
	strict   bool // ExpectedNodes is set, so share and quorum hold their bounds
	latency  time.Duration
	skews    []time.Duration // of the first nodes' clocks
	weather  weather
	drilled  bool // the last budget is for drills alone
	budgets  []budget
	steps    []step
}

// weather is what a cluster lives with all the time, and what must change nothing.
type weather struct {
	jitter   time.Duration   // of all wires
	sites    []time.Duration // by node: how much longer its wires are, one way
	drift    []int64         // by node: how much too fast its clock is, in ppm
	together bool            // all nodes start for the first time at the same moment
	dead     int             // addresses in Join at which nobody ever was
	slowLog  bool            // loggers block, for seconds
}

// wire is the latency between two nodes, without jitter.
func (s *schedule) wire(a, b int) time.Duration {
	d := s.latency
	for _, i := range []int{a, b} {
		if i < len(s.weather.sites) {
			d += s.weather.sites[i]
		}
	}
	return d
}

// oneWay is how long anything is on its way at most.
func (s *schedule) oneWay() time.Duration {
	d := s.latency + s.weather.jitter
	if sites := slices.Sorted(slices.Values(s.weather.sites)); len(sites) > 1 {
		d += sites[len(sites)-1] + sites[len(sites)-2]
	}
	return d
}

// budget is a key under a limit.
type budget struct {
	key string
	lim limiter.Limit
}

func (b budget) String() string {
	return fmt.Sprintf("%s: %d per %v, %v, split %v, lease %v", b.key, b.lim.Quota, b.lim.Window, b.lim.Algorithm, b.lim.Split, b.lim.Lease)
}

// op is what a step does.
type op uint8

const (
	opTraffic op = iota // starts requests, which go on during the next steps
	opSplit
	opHeal // ends splits and cuts
	opCut
	opKill
	opCrash
	opRestart
	opLeave
	opJoin
	opPause
	opResume
	opWires // sets latency and loss of all wires
	opJump  // moves a clock
	opSettle
	opStall     // a process does nothing for a while, and its clock goes on
	opLate      // sets how many packets are held on the way, and for how long
	opStillborn // a node that is down starts, and is killed while it does
	opTogether  // nodes that are down start at the same moment
)

var opNames = [...]string{"traffic", "split", "heal", "cut", "kill", "crash", "restart", "leave",
	"join", "pause", "resume", "wires", "jump", "settle", "stall", "late", "stillborn", "together"}

func (o op) String() string { return opNames[o] }

// step is one thing that happens, and how long nothing else does.
type step struct {
	op    op
	node  int
	other int     // the far end of a cut
	moved bool    // it restarts at another address
	named bool    // it restarts under another name
	sides [][]int // of a split; of a join, with the new node on one of them
	nodes []int   // that start together
	anew  bool    // and no others run
	by    time.Duration
	loss  float64
	load  load
	then  time.Duration
}

// load is a burst of requests: so many goroutines, each with so many takes and pauses.
type load struct {
	seed    uint64
	workers int
	takes   int
	gap     time.Duration
	drill   bool // for the last budget alone, which other loads do not ask for
}

func (s step) String() string {
	text := s.op.String()
	switch s.op {
	case opTraffic:
		text += fmt.Sprintf(" %d × %d every %v", s.load.workers, s.load.takes, s.load.gap)
		if s.load.drill {
			text += " of the last budget"
		}
	case opSplit, opJoin:
		text += fmt.Sprint(" ", s.sides)
	case opCut:
		text += fmt.Sprintf(" %d → %d", s.node, s.other)
	case opKill, opCrash, opRestart, opLeave, opPause, opResume:
		text += fmt.Sprint(" ", s.node)
		if s.moved {
			text += " elsewhere"
		}
		if s.named {
			text += " under another name"
		}
	case opTogether:
		text += fmt.Sprint(" ", s.nodes)
	case opStall, opStillborn:
		text += fmt.Sprintf(" %d for %v", s.node, s.by)
	case opLate:
		text += fmt.Sprintf(" %.0f%% by up to %v", 100*s.loss, s.by)
	case opJump:
		text += fmt.Sprintf(" %d by %v", s.node, s.by)
	case opWires:
		text += fmt.Sprintf(" latency %v, loss %.0f%%", s.by, 100*s.loss)
	}
	if s.then > 0 {
		text += fmt.Sprintf(", then %v", s.then)
	}
	return text
}

// String is what a failure prints.
func (s *schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes, %d replicas, expected set: %v, busy: %v, latency %v, skews %v, weather %+v\n",
		s.seed, s.nodes, s.replicas, s.strict, s.busy, s.latency, s.skews, s.weather)
	for _, x := range s.budgets {
		fmt.Fprintf(&b, "  %v\n", x)
	}
	for i, x := range s.steps {
		fmt.Fprintf(&b, "  %2d %v\n", i, x)
	}
	return b.String()
}
