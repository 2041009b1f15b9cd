package ledger

import "time"

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

// Received is what became of a slot that another process sent.
type Received uint8

// What becomes of one.
const (
	Stale Received = iota // it was known, or means nothing any more
	News
	NoRoom  // there are too many origins, or the slot is nobody's
	Refused // it cannot be: no process that counts makes it
)

// Merge joins a slot that another process sent, and returns whether it was news: see Receive.
func (l *Ledger) Merge(s Slot, now int64, mask uint8) bool { return l.Receive(s, now, mask) == News }

// Receive joins a slot that another process sent. News is due to the ranks in mask that are
// other processes. A slot of our own is news only where it was forgotten here and comes back,
// and never in a version that was not made here. Whatever the slot says, a window is never more
// than full, and a bucket is full again within 2*MaxWindow.
func (l *Ledger) Receive(s Slot, now int64, mask uint8) Received {
	if !s.plausible(now) {
		return Refused
	}
	s.Expires = min(s.Expires, seconds(now+2*int64(MaxWindow)))
	if int64(s.Expires)*1e9 <= now || s.At > int64(s.Expires)*1e9 {
		return Stale
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
		return NoRoom
	}
	e := p.entryOf(ref{s.ID, o})
	switch {
	case o == 0 && s.Version > p.version:
		return Refused // we never made that version
	case e != nil && (o == 0 || e.version >= s.Version):
		return Stale
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
	return News
}

func (l *Ledger) slot(p *partition, e *entry) Slot {
	s := Slot{ID: ID{e.hi, e.lo}, Origin: l.origins.name(e.origin), At: e.at, Cur: e.cur, Prev: e.prev,
		Version: e.version, Expires: e.expires, Fill: e.fill}
	if p.beside > 0 {
		l.readBeside(p, e, &s)
	}
	return s
}

const (
	versionMax = 1 << 63                // no process lives long enough to make more
	clocksMost = int64(2 * time.Minute) // by so much clocks differ, of those whose slots are taken at all
)

// plausible says whether any process can have made a slot, at an instant of this one's clock:
// whatever the limit is, which the slot does not say.
func (s *Slot) plausible(now int64) bool {
	latest := now + 2*int64(MaxWindow) + clocksMost
	return s.Origin != 0 && s.Version != 0 && s.Version < versionMax && s.Cur >= -MaxQuota &&
		s.At >= 0 && s.At <= latest && int64(s.Expires)*1e9 <= latest
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
