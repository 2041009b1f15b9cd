package membership

// Ghosts: members that one other says are missing, and that there may never have been. Each of them
// makes the share of a side smaller, for as long as it counts as known. So of a node that it never
// met, a member that has started believes two others that have, or one where there is no second to
// ask. Until then it is a ghost: it counts for nothing, and is told to nobody. A node that starts
// believes all that it hears: it has nobody to compare with.

// ghostsMost is how many are remembered of one teller.
const ghostsMost = 64

// tellerLocked is who a roster is of: a living member, which is its first entry; else "".
func (m *Members) tellerLocked(r []Entry) string {
	if len(r) > 0 {
		if x := m.byName[r[0].Name]; x != nil && x.Live && x.Process == r[0].Process {
			return x.Name
		}
	}
	return ""
}

// believesLocked says whether a node counts that somebody says is missing. old is the ghost that it
// was so far, or nil.
func (m *Members) believesLocked(e Entry, teller string, old *Member) bool {
	switch {
	case !m.started:
		return true
	case e.Hearsay:
		return !m.othersLocked(teller)
	case old != nil && old.by != teller && teller != "":
		return true
	}
	return !m.othersLocked(teller)
}

// othersLocked says whether there is another member that may know what a teller tells.
func (m *Members) othersLocked(teller string) bool {
	for _, x := range m.byName {
		if x.Live && !x.Leaving && !x.Silent && x.Name != teller {
			return true
		}
	}
	return false
}

// doubtGhostLocked remembers who says so, but not of one teller without end.
func (m *Members) doubtGhostLocked(gone Member, teller string, old *Member) {
	if old != nil {
		return
	}
	n := 0
	m.doubted = append(m.doubted, teller)
	for _, x := range m.byName {
		if x.ghost && x.by == teller {
			n++
		}
	}
	if n < ghostsMost {
		gone.ghost, gone.by = true, teller
		m.putLocked(gone)
	}
}

// Doubted are the tellers of ghosts since it was asked for last, each as often as it told of a new one.
func (m *Members) Doubted() (tellers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tellers, m.doubted = m.doubted, nil
	return tellers
}
