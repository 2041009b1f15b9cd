package cluster

import (
	"time"

	"github.com/weir-go/weir/limiter"
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
// under a name that was known not longer than ForgetAfter ago is none.

// entry is one member in the roster.
type entry struct {
	name, addr string
	origin     limiter.Origin
	state      uint8
	gone       time.Duration // for how long it has been missing
}

const (
	stateLive    = iota
	stateGuest   // living, and a guest
	stateFresh   // living, and does not count yet
	stateMissing // vanished without a goodbye
	stateLeft

	states = iota
)

const (
	rosterMax   = 10_000 // members
	entryFields = 5
	addrMax     = 64
)

func appendRoster(b []byte, r []entry) []byte {
	b = transport.AppendArrayLen(b, len(r))
	for _, e := range r {
		b = transport.AppendArrayLen(b, entryFields)
		b = transport.AppendString(b, e.name)
		b = transport.AppendString(b, e.addr)
		b = transport.AppendUint(b, uint64(e.origin))
		b = transport.AppendUint(b, uint64(e.state))
		b = transport.AppendInt(b, int64(e.gone))
	}
	return b
}

// readRoster reads a roster of a node of this version or a newer one. An empty one is of
// an older node, which knows none.
func readRoster(b []byte) (list []entry, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := transport.NewReader(b)
	n := r.ArrayLen(rosterMax)
	for range n {
		fields := r.ArrayLen(16)
		e := entry{name: r.String(), addr: r.String(), origin: limiter.Origin(r.Uint())}
		state, gone := r.Uint(), r.Int()
		for i := entryFields; i < fields; i++ {
			r.Skip()
		}
		if r.Err() != nil || fields < entryFields || len(e.name) == 0 || len(e.name) > nameMax || len(e.addr) > addrMax ||
			state >= states || gone < 0 {
			return nil, errMessage
		}
		e.state, e.gone = uint8(state), time.Duration(gone)
		list = append(list, e)
	}
	return list, finish(&r, n, n)
}

// roster is what this node knows, itself included.
func (m *members) roster(age time.Duration) []entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	self := entry{name: m.self, origin: m.origin, state: stateLive}
	if m.guest {
		self.state = stateGuest
	}
	r := []entry{self}
	for _, x := range m.byName {
		e := entry{name: x.name, addr: x.addr, origin: x.origin}
		switch {
		case x.live && x.guest:
			e.state = stateGuest
		case x.live && x.backAt != 0 && age-x.backAt < healTime:
			e.state = stateFresh
		case x.live:
			e.state = stateLive
		case x.leaving && age-x.lostAt < m.forget:
			e.state, e.gone = stateLeft, age-x.lostAt
		case x.vanished(age, m.forget):
			e.state, e.gone = stateMissing, age-x.lostAt
		default:
			continue
		}
		r = append(r, e)
	}
	return r
}

// learn takes over what another node knows and this one does not. It says whether that
// was anything.
func (m *members) learn(r []entry, age time.Duration) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	met, strangers := len(r) == 0, false
	for _, e := range r {
		old := m.byName[e.name]
		switch {
		case e.name == m.self:
			met = true
			m.guest = m.guest || e.state == stateGuest
		case old == nil && e.state == stateMissing && e.gone < m.forget:
			strangers, news = true, true
			m.putLocked(member{name: e.name, addr: e.addr, origin: e.origin, lostAt: age - e.gone})
			m.lastLoss = max(m.lastLoss, age-e.gone)
		case old == nil && e.state == stateLeft && e.gone < m.forget:
			m.putLocked(member{name: e.name, addr: e.addr, origin: e.origin, lostAt: age - e.gone, leaving: true})
		case old != nil && old.origin == e.origin && e.state == stateLeft && !old.live && !old.leaving:
			x := *old
			x.leaving, news = true, true
			m.putLocked(x)
		}
	}
	news = m.replacedLocked() || news
	if strangers && !met { // it misses nodes that this one never saw, and has never seen this one
		m.guest = true
	}
	misses := m.missesLocked(age)
	for _, e := range r {
		old := m.byName[e.name]
		if old == nil || !old.live || old.origin != e.origin {
			continue
		}
		x := *old
		switch {
		case e.state == stateGuest && misses:
			x.guest = true
		case e.state == stateFresh && !m.started && old.backAt == 0:
			x.backAt = max(1, age)
		}
		if x != *old {
			news = true
			m.putLocked(x)
		}
	}
	m.forgetLocked(age)
	return news
}

func (m *members) putLocked(x member) {
	if m.byName == nil {
		m.byName = map[string]*member{}
	}
	m.byName[x.name] = &x
}

// isGuest says whether this node is one.
func (m *members) isGuest() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.guest
}

// noGuests makes all guests members like any other, unless it has just been heard that
// somebody is missing.
func (m *members) noGuests(age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.missesLocked(age) {
		return
	}
	m.guest = false
	for _, x := range m.byName {
		if x.guest {
			y := *x
			y.guest = false
			m.putLocked(y)
		}
	}
}

// start notes that this node has its first view.
func (m *members) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = true
}
