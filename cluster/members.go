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
	mu      sync.Mutex
	byName  map[string]*member
	refused map[string]bool   // what has been logged once
	caught  map[string]uint64 // the table by which a node has sent us all that is due
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
		if x.backAt = old.backAt; !old.live {
			x.backAt = max(1, age)
		}
	}
	m.byName[name] = x
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

// left notes that a process announced its leave, heard before gossip told.
func (m *members) left(name string, origin limiter.Origin) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.byName[name]; old != nil && old.origin == origin {
		gone := *old
		gone.leaving = true
		m.byName[name] = &gone
	}
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

// heard says whether a member's slots are here, so far as they can be known: it never
// vanished, or has caught up since, or had time enough to.
func (m *members) heard(x *member, fingerprint uint64, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return x.backAt == 0 || age-x.backAt >= healTime || m.caught[x.name] == fingerprint
}

// knows says whether a process is a living member.
func (m *members) knows(name string, origin limiter.Origin) bool {
	x := m.get(name)
	return x != nil && x.live && x.origin == origin
}

// lose notes that a node is gone, at this node's age.
func (m *members) lose(name string, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[name]
	if old == nil {
		return
	}
	if old.leaving {
		delete(m.byName, name)
		delete(m.caught, name)
		return
	}
	delete(m.caught, name)
	gone := *old
	gone.live, gone.lostAt = false, age
	m.byName[name] = &gone
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
