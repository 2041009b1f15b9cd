package ledger

// What makes a ledger one of many: which partitions this process decides for, and the
// join of what other processes send. Masks have one bit per rank of holder.

// Hold says whether this process decides for a partition.
func (l *Ledger) Hold(part int, held bool) {
	p := &l.parts[part]
	p.mu.Lock()
	p.held = held
	l.held.set(part, held)
	p.mu.Unlock()
}

// Held is the partitions that this process decides for.
func (l *Ledger) Held() *PartitionSet { return &l.held }

// HasDue is the partitions of which something may be due.
func (l *Ledger) HasDue() *PartitionSet { return &l.due }

// Merge joins a slot that another process sent, and returns whether it was news.
// News is due to the ranks in mask that are other processes. A slot of our own is
// news only where it was forgotten here and comes back. Whatever the slot says, a
// window is never more than full, and a bucket is full again within 2*MaxWindow.
func (l *Ledger) Merge(s Slot, now int64, mask uint8) bool {
	latest := now + 2*int64(MaxWindow)
	s.Expires = min(s.Expires, seconds(latest))
	if int64(s.Expires)*1e9 <= now || s.At < 0 || s.At > int64(s.Expires)*1e9 {
		return false
	}
	turn := l.origins.turn.Load()
	o, ok := l.origins.intern(s.Origin, l)
	for i := range s.Knows[:min(len(s.Knows), KnownMost)] {
		l.origins.intern(s.Knows[i].Origin, l) // where there is no room, it knows less
	}
	p := &l.parts[s.ID.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok && l.origins.turn.Load() != turn { // its index may just have become another's
		o, ok = l.origins.lookup(s.Origin)
	}
	if !ok {
		l.dropped.Add(1)
		return false
	}
	e := p.entryOf(ref{s.ID, o})
	if e != nil && (o == 0 || e.version >= s.Version) {
		return false
	}
	if o == 0 && s.Version > p.version {
		return false // we never made that version
	}
	if e == nil {
		e = l.insert(p, s.ID, o, now)
	}
	if o == 0 { // there may have been later versions, which others may have
		p.version = (p.version>>tokenShift + 1) << tokenShift
		s.Version, mask = p.version, p.ranks
	}
	e.at, e.cur, e.prev, e.version, e.expires = s.At, s.Cur, s.Prev, s.Version, s.Expires
	p.setFill(e, s.Fill)
	p.setDue(e, mask&p.ranks)
	if len(s.Knows) > 0 || s.Paced > 0 || p.beside > 0 {
		l.mergeBeside(p, &s, o, now)
	}
	return true
}

func (l *Ledger) slot(p *partition, e *entry) Slot {
	s := Slot{ID: ID{e.hi, e.lo}, Origin: l.origins.name(e.origin), At: e.at, Cur: e.cur, Prev: e.prev,
		Version: e.version, Expires: e.expires, Fill: e.fill}
	if p.beside > 0 {
		l.readBeside(p, e, &s)
	}
	return s
}

// Move is the slot as a process has it whose clock is ahead by d.
func (s Slot) Move(d int64) Slot {
	s.At = max(0, s.At+d)
	s.Expires = seconds(int64(s.Expires)*1e9 + d)
	if s.Paced != 0 {
		s.Paced = max(1, s.Paced+d)
	}
	return s
}
