package membership

import (
	"cmp"
	"slices"
	"time"
)

// Where nodes may be that are missing. Gossip forgets the dead and never looks for them
// again, so that somebody else must.

// Rival notes a second node of a name. When the first one is gone, that one is looked
// for: gossip has told it nothing of us.
func (m *Members) Rival(name, addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rivals) >= VanishedMax {
		clear(m.rivals)
	}
	m.rivals[name] = addr
}

// Addresses are those of the living, and those at which members may be that are not seen,
// the last to vanish first. None is older than LostFor.
func (m *Members) Addresses(age time.Duration) (live, missing []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lost []*Member
	for _, x := range m.byName {
		switch {
		case x.Live:
			live = append(live, x.Addr)
		case !x.Leaving && !x.ghost && age-x.LostAt < LostFor:
			lost = append(lost, x)
		}
	}
	for name, addr := range m.rivals {
		if x := m.byName[name]; x == nil || !x.Live {
			missing = append(missing, addr)
		}
	}
	slices.SortFunc(lost, func(a, b *Member) int { return cmp.Compare(b.LostAt, a.LostAt) })
	for _, x := range lost {
		missing = append(missing, x.Addr)
	}
	return live, missing
}
