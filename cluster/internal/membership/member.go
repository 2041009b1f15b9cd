package membership

import (
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// Process is one process of a node. A node that starts anew is another one.
type Process struct {
	Name   string
	Origin ledger.Origin // a later process of the name normally has a larger one
}

// Member is another node, as far as this one knows: its latest process. It never changes:
// news makes a new Member.
type Member struct {
	Process
	Addr    string
	Live    bool
	Leaving bool          // it said goodbye: it hands over what it has, or is gone
	Guest   bool          // it came while others were missing: see roster.go
	Silent  bool          // it lives, and has not answered this node for SilentAfter
	LostAt  time.Duration // this node's age when it was seen no more
	BackAt  time.Duration // and when it came with slots that others may need; 0 if it has none
	Weir    string        // the version of its code, as it says by gossip; "" where it does not, or not yet

	caughtUp uint64 // the fingerprint of the last table by which it has sent all that is due
	said     uint32 // how often gossip said that this process lives: see Lose
	denied   bool   // gossip's last word is that it does not
	answered bool   // it has answered at its address itself
	met      bool   // this node has seen it live
	ghost    bool   // a member says that it is missing, and others that may know do not: see ghost.go
	by       string // who says so
}

// State is what a member is, in one word.
type State uint8

// The states of a member. The numbers travel in rosters.
const (
	Living       State = iota
	Visiting           // living, and a guest
	Returning          // living, back for less than HealTime: what it admitted may not be known here
	Missing            // vanished without a goodbye, and still counts as known
	Left               // said goodbye, not long ago
	MissingGuest       // missing, and a guest when it comes back
	Quiet              // living, and silent for who says so
	Forgotten          // none of these: it is remembered for its address at most

	states = int(Forgotten) // that travel
)

// HealTime is for how long at most members that vanished and came back do not count.
// Normally they say when they have caught up, after one flush.
const HealTime = 3 * time.Second

// SilentAfter is how long a node may not answer and yet count. It is less than the two
// seconds after which sides of a split keep to their shares, by what it takes to see it.
const SilentAfter = 1700 * time.Millisecond

// State is what the member is at an age, if it is forgotten after a time.
func (x *Member) State(age, forget time.Duration) State {
	switch {
	case x.Live && x.Guest:
		return Visiting
	case x.Live && x.Silent:
		return Quiet
	case x.Live && x.BackAt != 0 && age-x.BackAt < HealTime:
		return Returning
	case x.Live:
		return Living
	case x.ghost || age-x.LostAt >= forget:
		return Forgotten
	case x.Leaving:
		return Left
	case x.Guest:
		return MissingGuest
	}
	return Missing
}

// Vanished says whether it is gone without a goodbye, and still counts as known.
func (x *Member) Vanished(age, forget time.Duration) bool {
	s := x.State(age, forget)
	return s == Missing || s == MissingGuest
}

// back says whether it lives and came back less than HealTime ago.
func (x *Member) back(age time.Duration) bool {
	return x.Live && x.BackAt != 0 && age-x.BackAt < HealTime
}

// Agreed says whether it lives, and gossip says so too.
func (x *Member) Agreed() bool { return x.Live && x.said > 0 && !x.denied }

// turned is a node as it is when a table is not the one any more by which it may have caught up.
func (x *Member) turned(fingerprint uint64) *Member {
	if x.caughtUp != fingerprint {
		return x
	}
	y := *x
	y.caughtUp = 0
	return &y
}

// HasCaughtUp says whether it has sent all that is due by a table.
func (x *Member) HasCaughtUp(fingerprint uint64) bool { return x.caughtUp == fingerprint }

// Get is a member by its name, or nil.
func (m *Members) Get(name string) *Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byName[name]
}

// Namesake is the living node at another address that has the name of a process; nil if
// there is none.
func (m *Members) Namesake(p Process, addr string) *Member {
	if x := m.Get(p.Name); x != nil && x.Live && x.Addr != addr && x.Origin != p.Origin {
		return x
	}
	return nil
}

// Stays says whether a process is a living member that has not said goodbye.
func (m *Members) Stays(p Process) bool {
	x := m.Get(p.Name)
	return x != nil && x.Live && x.Process == p && !x.Leaving
}

// AskGoodbye says whether the caller is the one to ask a process that is said to leave: see
// AskedGoodbye.
func (m *Members) AskGoodbye(p Process) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byName[p.Name]
	if x == nil || !x.Live || x.Process != p || x.Leaving || m.byes[p] {
		return false
	}
	m.byes[p] = true
	return true
}

// AskedGoodbye ends that.
func (m *Members) AskedGoodbye(p Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byes, p)
}

// Knows says whether a process is a living member.
func (m *Members) Knows(p Process) bool {
	x := m.Get(p.Name)
	return x != nil && x.Live && x.Process == p
}

// HasCaughtUp says whether the process that a node is now has sent everything that is due
// by a table.
func (m *Members) HasCaughtUp(name string, fingerprint uint64) bool {
	x := m.Get(name)
	return x != nil && x.HasCaughtUp(fingerprint)
}
