package cluster

import (
	"errors"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
)

// Forwarded tells how one take was decided for which this node asked others: by which way, and
// how long that took. It has no key.
type Forwarded struct {
	// Began is when the node began to look for who decides, and Took how long that was.
	Began time.Time
	Took  time.Duration
	// Hops are those who were asked, in order. There are none where nobody could be.
	Hops []Hop
	// Here says that this node decided after all: the budget had come here, or nobody else did.
	Here bool
	// Decision is what became of it; the zero Decision beside an error.
	Decision limiter.Decision
	// Err is the error of Take, if any.
	Err error
}

// Hop is one call to another node about a take.
type Hop struct {
	// Node is the name of who was asked.
	Node string
	// Began is when, and Took how long it was until it answered or was given up.
	Began time.Time
	Took  time.Duration
	// As is in which role it was asked.
	As HopRole
	// Outcome is what it answered.
	Outcome HopOutcome
	// Err is why there was no answer.
	Err error
}

// HopRole is in which role a node was asked.
type HopRole uint8

const (
	// AsHolder: it is taken for the one that decides.
	AsHolder HopRole = iota
	// AsSuccessor: the holder did not decide, and this one may have copies, or reach who has.
	AsSuccessor
	// AsRelay: it is to pass the request on to a holder that is not known here yet.
	AsRelay
)

// String gives the name for traces.
func (r HopRole) String() string { return [...]string{"holder", "successor", "relay"}[min(r, 2)] }

// HopOutcome is what came of a hop.
type HopOutcome uint8

const (
	// HopDecided: it decided, or had it decided.
	HopDecided HopOutcome = iota
	// HopMoved: another node holds the budget, or it is changing hands.
	HopMoved
	// HopUnreached: it could not decide, and reached nobody who could.
	HopUnreached
	// HopNoAnswer: it did not answer in time, or not at all.
	HopNoAnswer
	// HopSkipped: it had not answered a moment ago, and was not asked.
	HopSkipped
)

// String gives the name for traces.
func (o HopOutcome) String() string {
	return [...]string{"decided", "moved", "unreached", "no answer", "skipped"}[min(o, 4)]
}

// add notes a call that is over.
func (f *Forwarded) add(node string, began time.Time, flags uint8, outcome wire.Outcome, err error) {
	h := Hop{Node: node, Began: began, Took: time.Since(began), Err: err}
	switch {
	case flags&wire.Failover != 0:
		h.As = AsSuccessor
	case flags&wire.Relay != 0:
		h.As = AsRelay
	}
	switch {
	case errors.Is(err, errDown):
		h.Outcome = HopSkipped
	case err != nil:
		h.Outcome = HopNoAnswer
	case outcome == wire.NotHolder:
		h.Outcome = HopMoved
	case outcome == wire.Unreachable:
		h.Outcome = HopUnreached
	}
	f.Hops = append(f.Hops, h)
}

// tell calls the hook.
func (r *round) tell(d limiter.Decision, err error) {
	f := r.trace
	f.Took, f.Decision, f.Err = time.Since(f.Began), d, err
	last := len(f.Hops) - 1
	f.Here = err == nil && (last < 0 || f.Hops[last].Outcome != HopDecided)
	r.n.cfg.OnForward(r.ctx, *f)
}
