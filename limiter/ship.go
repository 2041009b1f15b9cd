package limiter

import (
	"math"
	"sync"
)

// What makes a ledger one of many: which partitions this process decides for, what
// is due to the other holders of a partition, and the join of what they send.
// Holders have ranks: 0 is the partition's owner, 1 its successor, and so on. A
// mask has one bit per rank.

// listed marks, during one Collect, an entry that has its line in the list already.
const listed uint8 = 1 << 7

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

// SetHolders says which ranks of a partition are other processes, to which changes
// are due from now on, and makes everything live held here due to those in all. What
// was due to somebody is due to every rank: ranks may mean other processes now.
func (l *Ledger) SetHolders(part int, ranks, all uint8, now int64) {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ranks = ranks
	for e := range p.entries {
		switch {
		case !e.liveAt(now):
		case e.due != 0:
			e.due = ranks
		default:
			p.setDue(e, all&ranks)
		}
	}
}

// setDue marks an entry as due, and remembers how to find it.
func (p *partition) setDue(e *entry, mask uint8) {
	if e.due == 0 && mask != 0 {
		p.due = append(p.due, ref{ID{e.hi, e.lo}, e.origin})
		p.ledger.due.set(int(p.part), true)
	}
	e.due |= mask
}

// entryOf finds the entry that a ref names, or nil.
func (p *partition) entryOf(r ref) *entry {
	t := p.tableOf(r.id)
	for i := t.first(r.id); i >= 0; i = t.after(r.id, i) {
		if e := &t.places[i]; e.origin == r.origin {
			return e
		}
	}
	return nil
}

// Collect calls send with each slot of a partition that is due to one of the ranks
// in mask, and with those ranks. send returns the ranks to which the slot is on its
// way, and so no longer due. It runs under the partition's lock and must not block.
func (l *Ledger) Collect(part int, mask uint8, now int64, send func(s Slot, ranks uint8) uint8) {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	l.collectLocked(p, mask, now, send)
}

func (l *Ledger) collectLocked(p *partition, mask uint8, now int64, send func(s Slot, ranks uint8) uint8) {
	keep := p.due[:0]
	for _, r := range p.due {
		e := p.entryOf(r)
		if e == nil || e.due == 0 || e.due&listed != 0 {
			continue // forgotten; perhaps it came back, and has another ref
		}
		if !e.liveAt(now) {
			if e.due = 0; e.origin == 0 {
				l.lost.Add(1)
			}
			continue
		}
		if ranks := e.due & mask; ranks != 0 {
			e.due &^= ranks & send(l.slot(e), ranks)
		}
		if e.due != 0 {
			e.due |= listed
			keep = append(keep, r)
		}
	}
	for _, r := range keep {
		p.entryOf(r).due &^= listed
	}
	if p.due = keep; len(keep) == 0 {
		l.due.set(int(p.part), false)
		if cap(keep) > 256 {
			p.due = nil // a burst is over
		}
	}
}

// Due makes a slot due again to the ranks in mask: its delivery failed.
func (l *Ledger) Due(id ID, origin Origin, mask uint8) {
	o, ok := l.origins.lookup(origin)
	if !ok {
		return
	}
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entryOf(ref{id, o}); e != nil {
		p.setDue(e, mask&p.ranks)
	}
}

// DueCount is the number of slots of a partition that are due to a rank in mask, or
// a few more: what was forgotten and came back may count twice.
func (l *Ledger) DueCount(part int, mask uint8) int {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dueLocked(mask)
}

func (p *partition) dueLocked(mask uint8) (n int) {
	for _, r := range p.due {
		if e := p.entryOf(r); e != nil && e.due&mask != 0 {
			n++
		}
	}
	return n
}

// Empty says whether nothing is stored in a partition.
func (l *Ledger) Empty(part int) bool {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used == 0
}

// Cede ends this process's deciding for a partition. Under the lock, so that no
// decision comes in between, it collects what is due to rank 0 and calls commit,
// which must put the news on its way to the new holder without blocking. It does
// nothing, and returns false, if the partition is not held, if more than most slots
// are due, or if commit returns false.
func (l *Ledger) Cede(part, most int, now int64, commit func(due []Slot) bool) bool {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.held || p.dueLocked(1) > most {
		return false
	}
	var last []Slot
	l.collectLocked(p, 1, now, func(s Slot, ranks uint8) uint8 {
		last = append(last, s)
		return ranks
	})
	if !commit(last) {
		for _, s := range last {
			o, _ := l.origins.lookup(s.Origin)
			if e := p.entryOf(ref{s.ID, o}); e != nil {
				p.setDue(e, 1)
			}
		}
		return false
	}
	p.held = false
	l.held.set(part, false)
	return true
}

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
	o, ok := l.origins.intern(s.Origin, l)
	if !ok {
		l.dropped.Add(1)
		return false
	}
	p := &l.parts[s.ID.Partition()]
	p.mu.Lock()
	defer p.mu.Unlock()
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
	e.at, e.cur, e.prev, e.version, e.expires = s.At, s.Cur, s.Prev, s.Version, s.Expires
	p.setFill(e, s.Fill)
	p.setDue(e, mask&p.ranks)
	return true
}

func (l *Ledger) slot(e *entry) Slot {
	return Slot{ID: ID{e.hi, e.lo}, Origin: l.origins.name(e.origin), At: e.at, Cur: e.cur, Prev: e.prev,
		Version: e.version, Expires: e.expires, Fill: e.fill}
}

// Move is the slot as a process has it whose clock is ahead by d.
func (s Slot) Move(d int64) Slot {
	s.At = max(0, s.At+d)
	s.Expires = seconds(int64(s.Expires)*1e9 + d)
	return s
}

// originTable gives the processes of the stored slots short names.
type originTable struct {
	mu    sync.RWMutex
	index map[Origin]uint16
	names []Origin
}

const originsMax = math.MaxUint16

func (t *originTable) init(self Origin) {
	t.index, t.names = map[Origin]uint16{self: 0}, []Origin{self}
}

func (t *originTable) lookup(o Origin) (uint16, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.index[o]
	return i, ok
}

func (t *originTable) name(i uint16) Origin {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.names[i]
}

// intern gives an origin its index, a new one if needed. No partition is locked.
func (t *originTable) intern(o Origin, l *Ledger) (uint16, bool) {
	if i, ok := t.lookup(o); ok {
		return i, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[o]; ok {
		return i, true
	}
	if len(t.names) > originsMax {
		return 0, false // 65,535 restarts within the life of this process
	}
	t.index[o] = uint16(len(t.names))
	t.names = append(t.names, o)
	return t.index[o], true
}
