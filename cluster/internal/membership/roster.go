package membership

import (
	"errors"
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// How nodes agree on who is missing: with each exchange of members goes the roster, what
// a node knows of all of them. A node that joins a side of a split learns of the other
// side from it, or it would take the side for the whole cluster.
//
// Nor does a side grow by such a node, since the other side may grow as well: then both
// would be majorities, and the shares of both more than the whole. A node that came while
// others were missing is a guest. It owns partitions like any other, and counts when
// nobody is missing any more: they came back, have left, or are forgotten. Who comes back
// under a name that was known not longer than ForgetAfter ago is what that one was.

// Entry is one member in the roster.
type Entry struct {
	Process
	Addr  string
	State State
	Gone  time.Duration // for how long it has been missing

	Hearsay bool // who tells has never met it
}

const (
	rosterMax   = 10_000 // members
	entryFields = 5
	entryMore   = 1    // field that is there where it is true,
	yes         = 0xc3 // which is how it begins; else it is one that a newer version adds
	nameMax     = 128
	addrMax     = 64
)

// AppendRoster writes a roster.
func AppendRoster(b []byte, r []Entry) []byte {
	b = transport.AppendArrayLen(b, len(r))
	for _, e := range r {
		fields := entryFields
		if e.Hearsay {
			fields += entryMore
		}
		b = transport.AppendArrayLen(b, fields)
		b = transport.AppendString(b, e.Name)
		b = transport.AppendString(b, e.Addr)
		b = transport.AppendUint(b, uint64(e.Origin))
		b = transport.AppendUint(b, uint64(e.State))
		if b = transport.AppendInt(b, int64(e.Gone)); e.Hearsay {
			b = transport.AppendBool(b, true)
		}
	}
	return b
}

var errRoster = errors.New("membership: not a roster")

// ReadRoster reads a roster of a node of this version or a newer one. An empty one is of
// an older node, which knows none.
func ReadRoster(b []byte) (list []Entry, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := transport.NewReader(b)
	for range r.ArrayLen(rosterMax) {
		fields := r.ArrayLen(16)
		e := Entry{Process: Process{Name: r.String()}, Addr: r.String()}
		e.Origin = ledger.Origin(r.Uint())
		state, gone := r.Uint(), r.Int()
		read := entryFields
		if next := r.Rest(); fields >= entryFields+entryMore && len(next) > 0 && next[0] == yes {
			e.Hearsay, read = r.Bool(), entryFields+entryMore
		}
		for i := read; i < fields; i++ {
			r.Skip()
		}
		if r.Err() != nil || fields < entryFields || len(e.Name) == 0 || len(e.Name) > nameMax || len(e.Addr) > addrMax ||
			state >= uint64(states) || gone < 0 {
			return nil, errRoster
		}
		e.State, e.Gone = State(state), time.Duration(gone)
		list = append(list, e)
	}
	if r.Err() != nil || len(r.Rest()) > 0 {
		return nil, errRoster
	}
	return list, nil
}

// Roster is what this node knows, itself included.
func (m *Members) Roster(age time.Duration) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	self := Entry{Process: m.self}
	if m.guest {
		self.State = Visiting
	}
	r := []Entry{self}
	for _, x := range m.byName {
		e := Entry{Process: x.Process, Addr: x.Addr, State: x.State(age, m.forget), Hearsay: !x.Live && !x.met}
		if e.State == Forgotten {
			continue
		}
		if !x.Live {
			e.Gone = age - x.LostAt
		}
		r = append(r, e)
	}
	return r
}

// Learn takes over what another node knows and this one does not. It says whether that
// was anything.
func (m *Members) Learn(r []Entry, age time.Duration) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	met, strangers := len(r) == 0, false
	teller := m.tellerLocked(r)
	for _, e := range r {
		if e.Name == m.self.Name {
			met = true
			m.guest = m.guest || e.State == Visiting || e.State == MissingGuest
			continue
		}
		missed, heard := m.learnGoneLocked(e, teller, age)
		strangers, news = strangers || missed || e.State == Quiet && !m.started, news || heard
	}
	news = m.replacedLocked() || news
	if strangers && !met { // it misses nodes that this one never heard, and has never seen this one
		m.guest = true
	}
	misses := m.missesLocked(age)
	for _, e := range r {
		news = m.learnLivingLocked(e, misses, age) || news
	}
	m.forgetLocked(age)
	return news
}

// learnGoneLocked notes that a process is missing or has left. missed says that the node
// was not known, and is missing.
func (m *Members) learnGoneLocked(e Entry, teller string, age time.Duration) (missed, news bool) {
	old := m.byName[e.Name]
	gone := Member{Process: e.Process, Addr: e.Addr, LostAt: age - e.Gone, Leaving: e.State == Left, Guest: e.State == MissingGuest}
	switch {
	case (old == nil || old.ghost) && e.Gone < m.forget && (e.State == Missing || e.State == MissingGuest):
		if !m.believesLocked(e, teller, old) {
			m.doubtGhostLocked(gone, teller, old)
			return old == nil, false // so it counts for this: who tells may be of another side
		}
		m.lastLoss = max(m.lastLoss, gone.LostAt)
		m.putLocked(gone)
		return true, true
	case old == nil && e.Gone < m.forget && e.State == Left:
		m.putLocked(gone)
	case old != nil && old.Process == e.Process && e.State == Left && !old.Live && !old.Leaving:
		x := *old
		x.Leaving = true
		m.putLocked(x)
		return false, true
	}
	return false, false
}

// learnLivingLocked notes how a living process counts for others.
func (m *Members) learnLivingLocked(e Entry, misses bool, age time.Duration) (news bool) {
	old := m.byName[e.Name]
	if old == nil || !old.Live || old.Process != e.Process {
		return false
	}
	x := *old
	switch {
	case e.State == Visiting && misses:
		x.Guest = true
	case e.State == Quiet && !m.started: // until it answers this node
		x.Silent = true
	case e.State == Returning && !m.started && old.BackAt == 0:
		x.BackAt = max(1, age)
	}
	if x == *old {
		return false
	}
	m.putLocked(x)
	return true
}

// NoGuests makes all guests members like any other, unless it has just been heard that
// somebody is missing.
func (m *Members) NoGuests(age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.missesLocked(age) {
		return
	}
	m.guest = false
	for _, x := range m.byName {
		if x.Guest {
			y := *x
			y.Guest = false
			m.putLocked(y)
		}
	}
}
