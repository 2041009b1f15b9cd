package ledger

import "math"

// What is due to the other holders of a partition. Holders have ranks: 0 is the
// partition's owner, 1 its successor, and so on. What changes is listed, for each rank
// apart, and goes in that order. A holder that is new is owed everything: that is no
// list, but a place in the tables from which on nothing was sent to it yet. So whoever
// collects goes on where it ended, however much is due, and to whomever else.

// Ranks is how many holders a partition can have.
const Ranks = 3

// owed is what is due to one rank. An entry's due bit for the rank is set while it has a
// line in the list, so it has one at a time.
type owed struct {
	refs []ref
	head int // the first one not yet sent

	sweep bool   // everything is due from here on:
	table int    // in this table
	hi    uint64 // from this id's upper half
}

// refsSlack is how many lines a list may have beyond those of all that is stored, before
// it is given up for a sweep. What is evicted and comes back leaves lines that mean
// nothing.
const refsSlack = 64

// ref names an entry across moves within its table.
type ref struct {
	id     ID
	origin uint16
}

// SetHolders says which ranks of a partition are other processes, to which changes are
// due from now on. was tells for each rank which one its process had before: what was
// due to it still is. For a process that had none, -1, everything is due.
func (l *Ledger) SetHolders(part int, ranks uint8, was [Ranks]int) {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	before, had := p.owed, p.ranks
	p.owed, p.ranks = nil, ranks
	if before != nil {
		for r := range before {
			for _, x := range before[r].refs[before[r].head:] {
				if e := p.entryOf(x); e != nil {
					e.due &^= 1<<Ranks - 1 // ranks mean others now
				}
			}
		}
	}
	for r, old := range was {
		switch {
		case ranks&(1<<r) == 0:
		case old < 0 || had&(1<<old) == 0:
			if p.used > 0 {
				p.owe(r).begin()
			}
		case before != nil:
			o, lines := p.owe(r), before[old]
			o.sweep, o.table, o.hi = lines.sweep, lines.table, lines.hi
			for _, x := range lines.refs[lines.head:] {
				if e := p.entryOf(x); e != nil {
					p.setDue(e, 1<<r)
				}
			}
		}
	}
	l.noteDue(p)
}

// owe is what a rank is owed, to be changed.
func (p *partition) owe(rank int) *owed {
	if p.owed == nil {
		p.owed = new([Ranks]owed)
	}
	return &p.owed[rank]
}

// list adds a line for an entry.
func (o *owed) list(e *entry, rank int) {
	e.due |= 1 << rank
	o.refs = append(o.refs, ref{ID{e.hi, e.lo}, e.origin})
}

// comesTo says whether a sweep has a place in a table still before it.
func (o *owed) comesTo(table int, hi uint64) bool {
	return table > o.table || table == o.table && hi >= o.hi
}

// begin makes everything due.
func (o *owed) begin() { *o = owed{sweep: true} }

func (o *owed) empty() bool { return !o.sweep && o.head == len(o.refs) }

// noteDue keeps the ledger's set of partitions of which something is due.
func (l *Ledger) noteDue(p *partition) {
	any := false
	for r := range Ranks {
		any = any || p.owed != nil && !p.owed[r].empty()
	}
	l.due.set(int(p.part), any)
}

// setDue makes an entry due to the ranks in mask.
func (p *partition) setDue(e *entry, mask uint8) {
	mask &^= e.due
	if mask == 0 {
		return
	}
	id := ID{e.hi, e.lo}
	for r := range Ranks {
		if mask&(1<<r) == 0 {
			continue
		}
		o := p.owe(r)
		if o.sweep && o.comesTo(p.index(id), id.Hi) {
			continue
		}
		if o.list(e, r); len(o.refs)-o.head > 2*p.used+refsSlack {
			p.giveUp(o, r)
		}
	}
	p.ledger.due.set(int(p.part), true)
}

// giveUp replaces a list by a sweep, which is no longer than what is stored.
func (p *partition) giveUp(o *owed, rank int) {
	for _, x := range o.refs[o.head:] {
		if e := p.entryOf(x); e != nil {
			e.due &^= 1 << rank
		}
	}
	o.begin()
}

// entryOf finds the slot that a ref names, or nil.
func (p *partition) entryOf(r ref) *entry {
	t := p.tableOf(r.id)
	for i := t.first(r.id); i >= 0; i = t.after(r.id, i) {
		if e := &t.places[i]; e.origin == r.origin && e.due&beside == 0 {
			return e
		}
	}
	return nil
}

// Collect calls send with slots that are due to a rank of a partition: at most so many,
// the longest due first. What send gets is no longer due. It says whether more is. It
// runs under the partition's lock, and send must not block.
func (l *Ledger) Collect(part, rank, most int, now int64, send func(s Slot)) (more bool) {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owed == nil {
		return false
	}
	return l.collectLocked(p, rank, most, now, send)
}

func (l *Ledger) collectLocked(p *partition, rank, most int, now int64, send func(s Slot)) (more bool) {
	o := &p.owed[rank]
	listed := most
	if o.sweep {
		listed = most - most/2 // neither waits for the end of the other
	}
	left := most - l.collectListed(p, o, rank, min(listed, most), now, send)
	if o.sweep {
		l.collectSwept(p, o, rank, left, now, send)
	}
	l.noteDue(p)
	return !o.empty()
}

// lookFactor bounds how many entries are looked at for one that is sent: the lock is held.
const lookFactor = 8

// collectListed sends what is listed, and returns how many slots that was.
func (l *Ledger) collectListed(p *partition, o *owed, rank, most int, now int64, send func(s Slot)) (n int) {
	for looked := 0; o.head < len(o.refs) && n < most && looked < lookFactor*most; looked++ {
		e := p.entryOf(o.refs[o.head])
		o.head++
		if e == nil || e.due&(1<<rank) == 0 {
			continue // forgotten; perhaps it came back, and has another line
		}
		if e.due &^= 1 << rank; l.ended(e, now) {
			continue
		}
		send(l.slot(p, e))
		n++
	}
	switch {
	case o.head < len(o.refs):
	case cap(o.refs) > 256:
		o.refs, o.head = nil, 0 // a burst is over
	default:
		o.refs, o.head = o.refs[:0], 0
	}
	return n
}

// ended says whether an entry that is due means nothing any more. Then it is due to
// nobody, and if it is this process's, lost.
func (l *Ledger) ended(e *entry, now int64) bool {
	if e.liveAt(now) {
		return false
	}
	if e.origin == 0 {
		l.lost.Add(1)
	}
	e.due &^= 1<<Ranks - 1
	return true
}

// collectSwept sends what comes next in the tables. Within a table that is the order of
// the ids' upper halves, which does not change when entries come and go; what a split
// moves goes to the last table, and is met there, perhaps again.
func (l *Ledger) collectSwept(p *partition, o *owed, rank, most int, now int64, send func(s Slot)) {
	n, looked := 0, 0
	for ; o.table < p.tables(); o.table, o.hi = o.table+1, 0 {
		stopped, last := false, uint64(0)
		p.at(o.table).from(o.hi, func(e *entry) bool {
			if (n >= most || looked >= lookFactor*most) && (e.hi != last || looked == 0) {
				o.hi, stopped = e.hi, true
				return false
			}
			looked++
			switch last = e.hi; {
			case !e.liveAt(now) || e.due&beside != 0:
			case n >= most: // more origins of one id than there is room for
				if e.due&(1<<rank) == 0 {
					o.list(e, rank)
				}
			default:
				e.due &^= 1 << rank // its line means nothing now
				send(l.slot(p, e))
				n++
			}
			return true
		})
		if stopped {
			return
		}
	}
	o.sweep = false
}

// from calls yield with the entries whose upper half is at least hi, in order, until it
// returns false. No entry may come or go meanwhile.
func (t *table) from(hi uint64, yield func(e *entry) bool) {
	if t.used == 0 {
		return
	}
	over := t.overrun()
	for i := max(over, t.home(hi)); i < len(t.places); i++ {
		if e := &t.places[i]; e.expires != 0 && e.hi >= hi && !yield(e) {
			return
		}
	}
	for i := range over {
		if e := &t.places[i]; e.expires != 0 && e.hi >= hi && !yield(e) {
			return
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

// Owes says whether something of a partition may be due to a rank.
func (l *Ledger) Owes(part, rank int) bool {
	p := &l.parts[part]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owed != nil && !p.owed[rank].empty()
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
	if !p.held {
		return false
	}
	var last []Slot
	if p.owed != nil {
		if o := &p.owed[0]; o.sweep || len(o.refs)-o.head > most {
			return false
		}
		l.collectLocked(p, 0, math.MaxInt/lookFactor, now, func(s Slot) { last = append(last, s) })
	}
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
