package membership

// Who has sent everything that is due by a table, of which this package knows the fingerprint alone.

// CaughtUp notes that a living process has sent everything that is due by a table, which has a
// fingerprint. It says whether that was news.
func (m *Members) CaughtUp(p Process, fingerprint uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.byName[p.Name]
	if old == nil || !old.Live || old.Process != p || old.caughtUp == fingerprint {
		return false
	}
	x := *old
	x.caughtUp = fingerprint
	m.putLocked(x)
	return true
}

// Turned notes that a table, which has a fingerprint, is not this node's any more: who had caught up
// by it has not when it is again.
func (m *Members) Turned(fingerprint uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.byName {
		m.byName[x.Name] = x.turned(fingerprint)
	}
}
