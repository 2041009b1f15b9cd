package ledger

// What a majority of processes keeps together: each is told the slots that another one
// counts in, and tells all that it holds of a partition to whoever is to decide for it.

// Own is this process's slot for an id, if it has one that lives.
func (l *Ledger) Own(id ID, now int64) (s Slot, ok bool) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entryOf(ref{id, 0}); e != nil && e.liveAt(now) {
		return l.slot(p, e), true
	}
	return s, false
}

// Slots is all slots of a partition that live.
func (l *Ledger) Slots(part int, now int64) (all []Slot) {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots(func(e *entry) bool {
		if e.liveAt(now) {
			all = append(all, l.slot(p, e))
		}
		return true
	})
	return all
}
