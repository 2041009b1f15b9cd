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
