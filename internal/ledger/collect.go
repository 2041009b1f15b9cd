package ledger

// How what is due is collected, for who ships it.

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
