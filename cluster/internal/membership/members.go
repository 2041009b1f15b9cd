package membership

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/weir-go/weir/ring"
)

// Members is what is known of the other nodes. It outlives gossip's own memory, which
// forgets the dead: a split may last for hours, and its other side is looked for at the
// addresses it had. It is safe for concurrent use.
type Members struct {
	self     Process
	forget   time.Duration
	expected int

	mu       sync.Mutex
	addr     string // this node's own
	byName   map[string]*Member
	doubts   map[string]bool   // names of which somebody finds out which process lives
	byes     map[Process]bool  // whom somebody asks whether they leave
	rivals   map[string]string // addresses at which a second node has a living one's name
	lastLoss time.Duration     // age at which a node vanished last
	guest    bool              // this node is one
	started  bool              // this node is a member
	doubted  []string          // who told of ghosts
}

// New knows of nobody. A node that vanished counts for forget, and expected is how many
// nodes there are when the cluster is whole, or 0.
func New(self Process, forget time.Duration, expected int) *Members {
	return &Members{self: self, forget: forget, expected: expected, byName: map[string]*Member{},
		doubts: map[string]bool{}, byes: map[Process]bool{}, rivals: map[string]string{}}
}

// VanishedMax is how many nodes are remembered that are gone. Less than all of the other
// side of a split, and a minority would take itself for a majority.
const VanishedMax = ring.Partitions

// LostFor is how long a lost address is remembered.
const LostFor = 6 * time.Hour

// At notes this node's own address.
func (m *Members) At(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addr = addr
}

// Started notes that this node is a member: who is there was there before.
func (m *Members) Started() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = true
}

// Alive notes that gossip says that a process lives. News of an earlier process than the
// one that is known changes nothing: it returns false, and the node must be asked itself.
func (m *Members) Alive(p Process, addr string, leaving bool, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.byName[p.Name]; old != nil && p.Origin < old.Origin {
		return false
	}
	m.admitLocked(Member{Process: p, Addr: addr, Live: true, Leaving: leaving, said: 1}, age)
	if m.rivals[p.Name] == addr {
		delete(m.rivals, p.Name)
	}
	return true
}

// Runs notes which version of weir a process runs.
func (m *Members) Runs(p Process, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.byName[p.Name]; old != nil && old.Process == p && old.Weir != version {
		x := *old
		x.Weir = version
		m.putLocked(x)
	}
}

// Restarted notes a new process of a living node at its address, heard from before gossip
// told. It says whether that was news.
func (m *Members) Restarted(p Process, addr string, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[p.Name]
	if old == nil || !old.Live || old.Addr != addr || old.Origin >= p.Origin {
		return false
	}
	m.admitLocked(Member{Process: p, Addr: addr, Live: true}, age)
	return true
}

// Answered notes which process answers at the address of a node. What a node says itself
// counts more than any order of origins: its clock may have been set back before it
// started anew. It says whether that was news.
func (m *Members) Answered(p Process, addr string, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[p.Name]
	switch {
	case old == nil || old.Live && old.Addr != addr:
		return false
	case old.Origin == p.Origin && old.Live:
		if old.answered {
			return false
		}
		x := *old
		x.answered = true
		m.putLocked(x)
		return m.replacedLocked()
	case old.Origin == p.Origin:
		return false // gossip will say so
	}
	m.admitLocked(Member{Process: p, Addr: addr, Live: true, answered: true}, age)
	m.replacedLocked()
	return true
}

// Goodbye notes that a process leaves, as it has said itself. It returns false if the process
// is not known.
func (m *Members) Goodbye(p Process) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[p.Name]
	if old == nil || old.Process != p {
		return false
	}
	x := *old
	x.Leaving = true
	m.putLocked(x)
	return true
}

// Lose notes that a process is gone, unless gossip has said that it lives since gone was
// what was known of it, or the name has another process now. It says whether that was news.
func (m *Members) Lose(gone *Member, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[gone.Name]
	if old == nil || !old.Live || old.Process != gone.Process || old.said != gone.said {
		return false
	}
	x := *old
	x.Live, x.Silent, x.LostAt, x.answered, x.caughtUp = false, false, age, false, 0
	m.putLocked(x)
	m.replacedLocked()
	if !m.byName[x.Name].Leaving {
		m.lastLoss = age
	}
	m.forgetLocked(age)
	return true
}

// Silent notes that a living process has not answered this node for SilentAfter: gossip may
// take long to say that it is gone, and never does of one that only others reach. It says
// whether that was news.
func (m *Members) Silent(p Process) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[p.Name]
	if old == nil || !old.Live || old.Process != p || old.Silent {
		return false
	}
	x := *old
	x.Silent, x.caughtUp = true, 0
	m.putLocked(x)
	return true
}

// Heard notes that a silent process has answered. It counts like one that vanished and came
// back: it may have been on another side. It says whether that was news.
func (m *Members) Heard(p Process, age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[p.Name]
	if old == nil || !old.Live || old.Process != p || !old.Silent {
		return false
	}
	x := *old
	x.Silent, x.BackAt = false, max(1, age)
	m.putLocked(x)
	return true
}

// admitLocked puts a living process among the members.
func (m *Members) admitLocked(x Member, age time.Duration) {
	age = max(1, age)
	x.met = true
	switch old := m.byName[x.Name]; {
	case old == nil || old.ghost:
		x.Guest = m.missesLocked(age)
		if x.Guest || m.apartLocked(age) {
			x.BackAt = age
		}
	case old.Origin == x.Origin:
		x.said += old.said
		x.Weir = old.Weir
		x.answered = old.answered && old.Addr == x.Addr
		x.caughtUp, x.Silent = old.caughtUp, old.Silent && old.Live
		x.Leaving = x.Leaving || old.Leaving // gossip may be behind, and nobody who leaves stays after all
		if x.Guest, x.BackAt = old.Guest, old.BackAt; !old.Live {
			x.BackAt = age
		}
	default: // a new process of a known node
		x.Guest = old.Guest
		if !old.Live && !old.Leaving || m.apartLocked(age) {
			x.BackAt = age
		}
	}
	m.putLocked(x)
}

// missesLocked says whether somebody does not answer, or vanished and still counts as known.
func (m *Members) missesLocked(age time.Duration) bool {
	for _, x := range m.byName {
		if x.Silent || x.Vanished(age, m.forget) {
			return true
		}
	}
	return false
}

// apartLocked says whether a process that comes now may have been on another side of a
// split: others are missing, or have just come back, or there should be more of them.
func (m *Members) apartLocked(age time.Duration) bool {
	living := 1 // this node
	for _, x := range m.byName {
		if x.Silent || x.Vanished(age, m.forget) || x.back(age) {
			return true
		}
		if x.Live && !x.Leaving {
			living++
		}
	}
	return m.started && living < m.expected
}

// replacedLocked has those leave that vanished and at whose address another node answers:
// a process that was started anew under another name, say. What was there is gone for
// certain. It says whether there were any.
func (m *Members) replacedLocked() (news bool) {
	by := map[string]bool{m.addr: true}
	for _, x := range m.byName {
		if x.Live && x.answered {
			by[x.Addr] = true
		}
	}
	for _, x := range m.byName {
		if !x.Live && !x.Leaving && x.Addr != "" && by[x.Addr] {
			y := *x
			y.Leaving, news = true, true
			m.putLocked(y)
		}
	}
	return news
}

// forgetLocked keeps the number of those small that are gone.
func (m *Members) forgetLocked(age time.Duration) {
	var gone []*Member
	for _, x := range m.byName {
		switch {
		case x.Live:
		case (x.Leaving || x.ghost) && age-x.LostAt >= m.forget, age-x.LostAt >= max(LostFor, m.forget):
			delete(m.byName, x.Name)
		default:
			gone = append(gone, x)
		}
	}
	if len(gone) > VanishedMax {
		slices.SortFunc(gone, func(a, b *Member) int { return cmp.Compare(a.LostAt, b.LostAt) })
		for _, x := range gone[:len(gone)-VanishedMax] {
			delete(m.byName, x.Name)
		}
	}
}

func (m *Members) putLocked(x Member) { m.byName[x.Name] = &x }
