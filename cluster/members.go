package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/limiter"
)

// member is another node, as far as this one knows.
type member struct {
	name, addr string
	origin     limiter.Origin
	live       bool
	leaving    bool          // it said goodbye: it hands over what it has, or is gone
	guest      bool          // it came while others were missing: see roster.go
	lostAt     time.Duration // this node's age when it was seen no more
	backAt     time.Duration // and when it came with slots that others may need; 0 if it has none
}

// vanished says whether it is gone without a goodbye, and still counts as known.
func (x *member) vanished(age, forget time.Duration) bool {
	return !x.live && !x.leaving && age-x.lostAt < forget
}

// members is what gossip has told about the other nodes. It outlives gossip's own
// memory, which forgets the dead: a split may last for hours, and its other side is
// looked for at the addresses it had.
type members struct {
	self     string // this node's name
	origin   limiter.Origin
	forget   time.Duration // Config.ForgetAfter
	expected int           // Config.ExpectedNodes

	mu       sync.Mutex
	byName   map[string]*member
	refused  map[string]bool   // what has been logged once
	caught   map[string]uint64 // the table by which a node has sent us all that is due
	rivals   map[string]string // addresses at which a second node has a living one's name
	lastLoss time.Duration     // age at which a node vanished last
	guest    bool              // this node is one
	started  bool              // this node has its first view
}

const vanishedMax = 256 // nodes that are gone and remembered

func (m *members) see(name, addr string, mt meta, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.admitLocked(member{name: name, addr: addr, origin: mt.origin, live: true, leaving: mt.leaving}, age)
	if m.rivals[name] == addr {
		delete(m.rivals, name)
	}
}

// admitLocked puts a living process among the members.
func (m *members) admitLocked(x member, age time.Duration) {
	age = max(1, age)
	switch old := m.byName[x.name]; {
	case old == nil:
		x.guest = m.missesLocked(age)
		if x.guest || m.apartLocked(age) {
			x.backAt = age
		}
	case old.origin == x.origin:
		x.leaving = x.leaving || old.leaving // gossip may be behind, and nobody who leaves stays after all
		if x.guest, x.backAt = old.guest, old.backAt; !old.live {
			x.backAt = age
		}
	default: // a new process of a known node
		x.guest = old.guest
		if !old.live && !old.leaving || m.apartLocked(age) {
			x.backAt = age
		}
	}
	m.putLocked(x)
}

// missesLocked says whether somebody vanished who still counts as known.
func (m *members) missesLocked(age time.Duration) bool {
	for _, x := range m.byName {
		if x.vanished(age, m.forget) {
			return true
		}
	}
	return false
}

// apartLocked says whether a process that comes now may have been on another side of a
// split: others are missing, or have just come back, or there should be more of them.
func (m *members) apartLocked(age time.Duration) bool {
	living := 1 // this node
	for _, x := range m.byName {
		if x.vanished(age, m.forget) || x.live && x.backAt != 0 && age-x.backAt < healTime {
			return true
		}
		if x.live && !x.leaving {
			living++
		}
	}
	return m.started && living < m.expected
}

// rival notes a second node of a name. When the first one is gone, that one is looked
// for: gossip has told it nothing of us.
func (m *members) rival(name, addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rivals == nil || len(m.rivals) >= vanishedMax {
		m.rivals = map[string]string{}
	}
	m.rivals[name] = addr
}

// missing is the addresses at which members may be that are not seen.
func (m *members) missing() (addrs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.byName {
		if !x.live && !x.leaving {
			addrs = append(addrs, x.addr)
		}
	}
	for name, addr := range m.rivals {
		if x := m.byName[name]; x == nil || !x.live {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// restarted notes a new process of a known node, heard from before gossip told. It
// says whether that was news.
func (m *members) restarted(name, addr string, origin limiter.Origin, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[name]
	if old == nil || !old.live || old.addr != addr || old.origin >= origin {
		return false
	}
	m.admitLocked(member{name: name, addr: addr, origin: origin, live: true}, age)
	return true
}

// left notes that a process announced its leave, heard before gossip told. It returns
// false if the process is not known.
func (m *members) left(name string, origin limiter.Origin) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[name]
	if old == nil || old.origin != origin {
		return false
	}
	gone := *old
	gone.leaving = true
	m.byName[name] = &gone
	return true
}

// get is a member by its name, or nil. It must not be changed.
func (m *members) get(name string) *member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byName[name]
}

// caughtUp notes that a node has sent everything that is due by a table.
func (m *members) caughtUp(name string, fingerprint uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.caught == nil {
		m.caught = map[string]uint64{}
	}
	if m.byName[name] != nil { // or the map would grow with names
		m.caught[name] = fingerprint
	}
}

// hasCaughtUp says whether a node has sent everything that is due by a table.
func (m *members) hasCaughtUp(name string, fingerprint uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.caught[name] == fingerprint
}

// lossAt is the age at which a node vanished last.
func (m *members) lossAt() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lastLoss
}

// knows says whether a process is a living member.
func (m *members) knows(name string, origin limiter.Origin) bool {
	x := m.get(name)
	return x != nil && x.live && x.origin == origin
}

// lose notes that a node is gone, at this node's age, unless it has been seen again
// since gone was what was known of it.
func (m *members) lose(gone *member, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, name := m.byName[gone.name], gone.name
	if old != gone {
		return
	}
	delete(m.caught, name)
	lost := *old
	lost.live, lost.lostAt = false, age
	m.byName[name] = &lost
	if !lost.leaving {
		m.lastLoss = age
	}
	m.forgetLocked(age)
}

// forgetLocked keeps the number of those small that are gone.
func (m *members) forgetLocked(age time.Duration) {
	var gone []*member
	for _, x := range m.byName {
		switch {
		case x.live:
		case x.leaving && age-x.lostAt >= m.forget:
			delete(m.byName, x.name)
		default:
			gone = append(gone, x)
		}
	}
	if len(gone) > vanishedMax {
		slices.SortFunc(gone, func(a, b *member) int { return cmp.Compare(a.lostAt, b.lostAt) })
		for _, x := range gone[:len(gone)-vanishedMax] {
			delete(m.byName, x.name)
		}
	}
}

// list is all members, in the order of their names. They must not be changed.
func (m *members) list() []*member {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]*member, 0, len(m.byName))
	for _, x := range m.byName {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *member) int { return cmp.Compare(a.name, b.name) })
	return all
}

// refuse calls log the first time that it hears of what.
func (m *members) refuse(what string, log func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused == nil || len(m.refused) >= refusedLogMax {
		m.refused = map[string]bool{}
	}
	if !m.refused[what] {
		m.refused[what] = true
		log()
	}
}
