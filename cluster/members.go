package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// member is another node, as far as this one knows.
type member struct {
	name, addr string
	origin     limiter.Origin
	live       bool
	said       uint32        // how often gossip said that this process lives: see news.go
	denied     bool          // gossip's last word is that it does not
	answered   bool          // it has answered at its address itself
	leaving    bool          // it said goodbye: it hands over what it has, or is gone
	guest      bool          // it came while others were missing: see roster.go
	lostAt     time.Duration // this node's age when it was seen no more
	backAt     time.Duration // and when it came with slots that others may need; 0 if it has none
}

// vanished says whether it is gone without a goodbye, and still counts as known.
func (x *member) vanished(age, forget time.Duration) bool {
	return !x.live && !x.leaving && age-x.lostAt < forget
}

// agreed says whether it lives, and gossip says so too.
func (x *member) agreed() bool { return x.live && x.said > 0 && !x.denied }

// members is what gossip has told about the other nodes. It outlives gossip's own
// memory, which forgets the dead: a split may last for hours, and its other side is
// looked for at the addresses it had.
type members struct {
	self     string // this node's name
	addr     string // and its address
	origin   limiter.Origin
	forget   time.Duration // Config.ForgetAfter
	expected int           // Config.ExpectedNodes

	mu       sync.Mutex
	byName   map[string]*member
	refused  map[string]bool   // what has been logged once
	caught   map[string]caught // by name: who has sent us all that is due
	doubts   map[string]bool   // names of which a goroutine finds out which process lives
	rivals   map[string]string // addresses at which a second node has a living one's name
	lastLoss time.Duration     // age at which a node vanished last
	guest    bool              // this node is one
	started  bool              // this node has its first view
}

// caught is a process that has sent everything that is due by a table.
type caught struct {
	origin      limiter.Origin
	fingerprint uint64
}

// vanishedMax is how many nodes are remembered that are gone. Less than all of the other
// side of a split, and a minority would take itself for a majority.
const vanishedMax = ring.Partitions

// see notes that gossip says that a process lives. News of an earlier process than the
// one that is known changes nothing: it returns false, and the node must be asked itself.
func (m *members) see(name, addr string, mt meta, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.byName[name]; old != nil && mt.origin < old.origin {
		return false
	}
	m.admitLocked(member{name: name, addr: addr, origin: mt.origin, live: true, leaving: mt.leaving, said: 1}, age)
	if m.rivals[name] == addr {
		delete(m.rivals, name)
	}
	return true
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
		x.said += old.said
		x.answered = old.answered && old.addr == x.addr
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

// addresses are those of the living, and those at which members may be that are not seen,
// the last to vanish first. None is older than lostFor.
func (m *members) addresses(age time.Duration) (live, missing []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lost []*member
	for _, x := range m.byName {
		switch {
		case x.live:
			live = append(live, x.addr)
		case !x.leaving && age-x.lostAt < lostFor:
			lost = append(lost, x)
		}
	}
	for name, addr := range m.rivals {
		if x := m.byName[name]; x == nil || !x.live {
			missing = append(missing, addr)
		}
	}
	slices.SortFunc(lost, func(a, b *member) int { return cmp.Compare(b.lostAt, a.lostAt) })
	for _, x := range lost {
		missing = append(missing, x.addr)
	}
	return live, missing
}

// restarted notes a new process of a living node at its address, heard from before gossip
// told. It says whether that was news.
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

// answered notes which process answers at the address of a node. What a node says itself
// counts more than any order of origins: its clock may have been set back before it
// started anew. It says whether that was news.
func (m *members) answered(name, addr string, origin limiter.Origin, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[name]
	switch {
	case old == nil || old.live && old.addr != addr:
		return false
	case old.origin == origin && old.live:
		if old.answered {
			return false
		}
		x := *old
		x.answered = true
		m.putLocked(x)
		return m.replacedLocked()
	case old.origin == origin:
		return false // gossip will say so
	}
	m.admitLocked(member{name: name, addr: addr, origin: origin, live: true, answered: true}, age)
	m.replacedLocked()
	return true
}

// replacedLocked has those leave that vanished and at whose address another node answers:
// a process that was started anew under another name, say. What was there is gone for
// certain. It says whether there were any.
func (m *members) replacedLocked() (news bool) {
	by := map[string]bool{m.addr: true}
	for _, x := range m.byName {
		if x.live && x.answered {
			by[x.addr] = true
		}
	}
	for _, x := range m.byName {
		if !x.live && !x.leaving && x.addr != "" && by[x.addr] {
			y := *x
			y.leaving, news = true, true
			m.putLocked(y)
		}
	}
	return news
}

// doubt notes that gossip says otherwise of a node than what is known of it. It returns
// whether the caller is the one to find out: see settle.
func (m *members) doubt(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byName[name]
	if x == nil {
		return false
	}
	if !x.denied && x.live {
		y := *x
		y.denied = true
		m.putLocked(y)
	}
	if m.doubts == nil {
		m.doubts = map[string]bool{}
	}
	begin := !m.doubts[name]
	m.doubts[name] = true
	return begin
}

// settle ends a doubt, if there is nothing to find out any more: the node is gone, or
// gossip says that the process lives which is known.
func (m *members) settle(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byName[name]
	over := x == nil || !x.live || x.agreed()
	if over {
		delete(m.doubts, name)
	}
	return over
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

// at notes this node's own address.
func (m *members) at(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addr = addr
}

// get is a member by its name, or nil. It must not be changed.
func (m *members) get(name string) *member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byName[name]
}

// caughtUp notes that a process has sent everything that is due by a table.
func (m *members) caughtUp(name string, origin limiter.Origin, fingerprint uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.caught == nil {
		m.caught = map[string]caught{}
	}
	if m.byName[name] != nil { // or the map would grow with names
		m.caught[name] = caught{origin, fingerprint}
	}
}

// hasCaughtUp says whether the process that a node is now has sent everything that is due
// by a table.
func (m *members) hasCaughtUp(name string, fingerprint uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.byName[name]
	return x != nil && m.caught[name] == caught{x.origin, fingerprint}
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

// lose notes that a process is gone, at this node's age, unless gossip has said that it
// lives since gone was what was known of it, or the name has another process now. It says
// whether that was news.
func (m *members) lose(gone *member, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, name := m.byName[gone.name], gone.name
	if old == nil || !old.live || old.origin != gone.origin || old.said != gone.said {
		return false
	}
	delete(m.caught, name)
	lost := *old
	lost.live, lost.lostAt = false, age
	lost.answered = false
	m.byName[name] = &lost
	m.replacedLocked()
	if !m.byName[name].leaving {
		m.lastLoss = age
	}
	m.forgetLocked(age)
	return true
}

// forgetLocked keeps the number of those small that are gone.
func (m *members) forgetLocked(age time.Duration) {
	var gone []*member
	for _, x := range m.byName {
		switch {
		case x.live:
		case x.leaving && age-x.lostAt >= m.forget, age-x.lostAt >= max(lostFor, m.forget):
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
