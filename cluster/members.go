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
	leaving    bool          // it said goodbye, and hands over what it has
	lostAt     time.Duration // this node's age when it vanished without one
	backAt     time.Duration // and when it was seen again; 0 if it never vanished
}

// members is what gossip has told about the other nodes. It outlives gossip's own
// memory, which forgets the dead: a split may last for hours, and its other side is
// looked for at the addresses it had.
type members struct {
	mu       sync.Mutex
	byName   map[string]*member
	refused  map[string]bool   // what has been logged once
	caught   map[string]uint64 // the table by which a node has sent us all that is due
	rivals   map[string]string // addresses at which a second node has a living one's name
	lastLoss time.Duration     // age at which a node vanished last
}

const vanishedMax = 256 // vanished nodes whose addresses are remembered

func (m *members) see(name, addr string, mt meta, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName == nil {
		m.byName = map[string]*member{}
	}
	x := &member{name: name, addr: addr, origin: mt.origin, live: true, leaving: mt.leaving}
	if old := m.byName[name]; old != nil && old.origin == mt.origin {
		x.leaving = x.leaving || old.leaving // gossip may be behind, and nobody who leaves stays after all
		if x.backAt = old.backAt; !old.live {
			x.backAt = max(1, age)
		}
	}
	m.byName[name] = x
	if m.rivals[name] == addr {
		delete(m.rivals, name)
	}
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
		if !x.live {
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
func (m *members) restarted(name, addr string, origin limiter.Origin) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[name]
	if old == nil || !old.live || old.addr != addr || old.origin >= origin {
		return false
	}
	m.byName[name] = &member{name: name, addr: addr, origin: origin, live: true}
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
	if old.leaving {
		delete(m.byName, name)
		delete(m.caught, name)
		return
	}
	delete(m.caught, name)
	lost := *old
	lost.live, lost.lostAt = false, age
	m.byName[name] = &lost
	m.lastLoss = age
	var vanished []*member
	for _, x := range m.byName {
		if !x.live {
			vanished = append(vanished, x)
		}
	}
	if len(vanished) > vanishedMax {
		slices.SortFunc(vanished, func(a, b *member) int { return cmp.Compare(a.lostAt, b.lostAt) })
		delete(m.byName, vanished[0].name)
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
