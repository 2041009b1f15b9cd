package tenure

import (
	"cmp"
	"slices"
	"time"
)

// Process is one process of a node. 0 is nobody.
type Process uint64

// Term is who holds a partition since its last change of holder. The zero Term is before
// all others.
type Term struct {
	Number uint64
	Holder Process
}

// MaxNumber is more than there can be changes of holder; a larger one on the wire is refused.
const MaxNumber = 1 << 60

// Compare is negative if t is older than u, and 0 if they are one.
func (t Term) Compare(u Term) int {
	return cmp.Or(cmp.Compare(t.Number, u.Number), cmp.Compare(t.Holder, u.Holder))
}

// After says whether t is newer than u.
func (t Term) After(u Term) bool { return t.Compare(u) > 0 }

func later(t, u Term) Term {
	if u.After(t) {
		return u
	}
	return t
}

// State is what a node is for a partition.
type State uint8

// The states: see the package comment.
const (
	Foreign State = iota
	Waiting
	Holding
	Draining
	Ceded
)

// String is the state's name.
func (s State) String() string {
	return [...]string{"foreign", "waiting", "holding", "draining", "ceded"}[s]
}

// Decides says whether the node decides in this state.
func (s State) Decides() bool { return s == Holding || s == Draining }

// Seen is what a node sees of the cluster when something happens.
type Seen struct {
	Self   Process
	Owner  Process       // of the partition, by this node's ring; 0 if it cannot be reached
	Before Process       // who owned it until now, for who knows of no term
	Others []Process     // that live, as far as this node knows
	Now    time.Duration // age of the node
}

func (s *Seen) owns() bool          { return s.Owner == s.Self }
func (s *Seen) live(p Process) bool { return slices.Contains(s.Others, p) }

// deciding is the state of who decides.
func (s *Seen) deciding() State {
	if s.owns() {
		return Holding
	}
	return Draining
}
