package clustertest

import (
	"fmt"
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
	budgets  []budget
	steps    []step
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
)

var opNames = [...]string{"traffic", "split", "heal", "cut", "kill", "crash", "restart", "leave",
	"join", "pause", "resume", "wires", "jump", "settle"}

func (o op) String() string { return opNames[o] }

// step is one thing that happens, and how long nothing else does.
type step struct {
	op    op
	node  int
	other int     // the far end of a cut
	moved bool    // it restarts at another address
	sides [][]int // of a split; of a join, with the new node on one of them
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
}

func (s step) String() string {
	text := s.op.String()
	switch s.op {
	case opTraffic:
		text += fmt.Sprintf(" %d × %d every %v", s.load.workers, s.load.takes, s.load.gap)
	case opSplit, opJoin:
		text += fmt.Sprint(" ", s.sides)
	case opCut:
		text += fmt.Sprintf(" %d → %d", s.node, s.other)
	case opKill, opCrash, opRestart, opLeave, opPause, opResume:
		text += fmt.Sprint(" ", s.node)
		if s.moved {
			text += " elsewhere"
		}
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
	fmt.Fprintf(&b, "seed %d: %d nodes, %d replicas, expected set: %v, busy: %v, latency %v, skews %v\n",
		s.seed, s.nodes, s.replicas, s.strict, s.busy, s.latency, s.skews)
	for _, x := range s.budgets {
		fmt.Fprintf(&b, "  %v\n", x)
	}
	for i, x := range s.steps {
		fmt.Fprintf(&b, "  %2d %v\n", i, x)
	}
	return b.String()
}
