package ledger

// What a process can say of its own slots, where others have sent copies that it never made.

// Top is the highest version that this process has made in a partition.
func (l *Ledger) Top(part int) uint64 {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version
}

// Drop forgets the slot of another process, if it is of a version still, and says whether it was.
func (l *Ledger) Drop(id ID, origin Origin, version uint64) bool {
	o, ok := l.origins.lookup(origin)
	if !ok || o == 0 {
		return false
	}
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entryOf(ref{id, o}); e == nil || e.version != version {
		return false
	}
	l.dropBeside(p, id, func(e *entry) bool { return e.origin == o })
	t := p.tableOf(id)
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		if e := &t.places[i]; e.origin == o && e.due&beside == 0 {
			l.removeAt(p, t, i)
			l.live.Add(-1)
			return true
		}
	}
	return false
}
