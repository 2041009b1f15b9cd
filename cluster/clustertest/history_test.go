package clustertest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// history is what the oracle knows: every request and every fault, but nothing of
// what the nodes think.
type history struct {
	s      *schedule
	mu     sync.Mutex // guards takes and gives
	takes  []*take
	gives  []*take
	events []event
	peace  []time.Time // when the cluster was whole again, and all was shipped
	starts []lifetime  // of each process
	failed string      // what ended the run early
}

// take is one request, or one refund.
type take struct {
	node, budget int
	cost         int64
	from, to     time.Time
	d            limiter.Decision
	err          error
	look         int  // which time of peace it looked at; 0 is a true request
	orphan       bool // its node was killed or paused before it had answered
	at           step // for reports: during which step it began
}

// event is one step as it happened.
type event struct {
	step
	from, to time.Time
}

// lifetime is one process.
type lifetime struct {
	node     int
	from, to time.Time // to is zero while it lives
}

// recent are the steps since the last time of peace.
func (h *history) recent() []event {
	for i := len(h.events) - 1; i >= 0; i-- {
		if h.events[i].op == opSettle {
			return h.events[i+1:]
		}
	}
	return h.events
}

// troubled says whether there was a fault since the last time of peace.
func (h *history) troubled() bool {
	return slices.ContainsFunc(h.recent(), func(e event) bool { return e.isFault() })
}

// jumped says whether a node may have a cluster time of its own since then: a clock
// jumped, or a node with a wrong one started where it perhaps reached nobody,
// or all did.
func (h *history) jumped() bool { return movesClock(h.s, h.recent()) }

func movesClock(s *schedule, events []event) bool {
	cutOff := false
	for _, e := range events {
		switch e.op {
		case opJump:
			return true
		case opSplit, opCut, opWires, opPause:
			cutOff = true
		case opRestart, opJoin, opTogether:
			if (cutOff || e.anew) && s.skewed() {
				return true
			}
		}
	}
	return false
}

// skewed says whether the nodes' own clocks may differ from cluster time.
func (s *schedule) skewed() bool {
	for _, d := range s.skews {
		if d != 0 {
			return true
		}
	}
	if s.drifts() {
		return true
	}
	return slices.ContainsFunc(s.steps, func(x step) bool { return x.op == opJump })
}

// drifts says whether clocks are too fast or too slow.
func (s *schedule) drifts() bool { return len(s.weather.drift) > 0 }

// isFault says whether a step is more than a whole cluster should notice. A join and
// a graceful leave are not, nor is it that gossip is late.
func (e *event) isFault() bool {
	switch e.op {
	case opTraffic, opRestart, opLeave, opJoin, opHeal, opResume, opSettle, opLate, opTogether:
		return false
	}
	return true
}

// gone says whether an error is one that a caller on a dying node may see.
func gone(err error) bool { return errors.Is(err, cluster.ErrClosed) }
