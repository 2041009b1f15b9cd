package ledger

import "math/bits"

// How a partition grows. It begins with one table, which grows by a quarter at a time;
// from then on it gets more of them by linear hashing (Litwin, 1980): where there are
// n tables, and tableKeys entries for each, the next one in turn is split in two. So
// what one take may have to move does not depend on how many keys there are. The
// lower bits of an id's upper half say which table, the upper bits where in it.

// tableKeys is the mean number of entries per table from which tables are split; one
// whose turn has not come may hold twice as many. A larger one costs a take more than
// the move: the page faults of fresh memory come with it. Half as many gain nothing
// that was measured, and cost up to 3 bytes more per key.
const tableKeys = 1024

// tables is how many tables there are.
func (p *partition) tables() int {
	if p.more == nil {
		return 1
	}
	return 1 + len(*p.more)
}

// at is one of the tables, until the next split.
func (p *partition) at(i int) *table {
	if i == 0 {
		return &p.table
	}
	return &(*p.more)[i-1]
}

// index is the table in which an id's entries are.
func (p *partition) index(id ID) int {
	n := p.tables()
	mask := 1<<bits.Len(uint(n-1)) - 1
	i := int(id.Hi) & mask
	if i >= n { // not split yet
		i &= mask >> 1
	}
	return i
}

// tableOf is that table itself, until the next split.
func (p *partition) tableOf(id ID) *table {
	if p.more == nil {
		return &p.table
	}
	return p.at(p.index(id))
}

// entries calls yield with each entry, until it returns false. No entry may come or
// go meanwhile.
func (p *partition) entries(yield func(e *entry) bool) {
	for i := range p.tables() {
		places := p.at(i).places
		for j := range places {
			if places[j].expires != 0 && !yield(&places[j]) {
				return
			}
		}
	}
}

// slots is entries, without those that only belong to a slot.
func (p *partition) slots(yield func(e *entry) bool) {
	p.entries(func(e *entry) bool { return e.due&beside != 0 || yield(e) })
}

// roomFor is the table of an id, with room for one more entry. What has expired is
// dropped where a table grows or is split, so tables shrink the same way.
func (l *Ledger) roomFor(p *partition, id ID, now int64) *table {
	t := p.tableOf(id)
	if !t.full() {
		return t
	}
	if p.used >= p.tables()*tableKeys {
		l.split(p, now)
		if t = p.tableOf(id); !t.full() {
			return t
		}
	}
	old := *t
	*t = newTable(l.expire(p, &old, 0, now)[0] + 1)
	l.places.Add(int64(len(t.places) - len(old.places)))
	t.fill(&old, func(e *entry) bool { return e.liveAt(now) })
	return t
}

// split moves half of the table whose turn it is into a new one: those ids that have
// the next bit set.
func (l *Ledger) split(p *partition, now int64) {
	if p.more == nil {
		p.more = new([]table)
	}
	n := p.tables()
	bit := 1 << (bits.Len(uint(n)) - 1) // the largest power of two that is not more than n
	t := p.at(n - bit)
	old := *t
	live := l.expire(p, &old, uint64(bit), now)
	half := newTable(live[1] + 1)
	half.fill(&old, func(e *entry) bool { return e.hi&uint64(bit) != 0 && e.liveAt(now) })
	*t = newTable(live[0] + 1)
	t.fill(&old, func(e *entry) bool { return e.hi&uint64(bit) == 0 && e.liveAt(now) })
	l.places.Add(int64(len(half.places) + len(t.places) - len(old.places)))
	*p.more = append(*p.more, half)
}

// expire settles the counters for what has expired in a table that will be moved, and
// counts what lives: where a bit of hi is not set, and where it is.
func (l *Ledger) expire(p *partition, t *table, bit uint64, now int64) (live [2]int) {
	for i := range t.places {
		switch e := &t.places[i]; {
		case e.expires == 0:
		case !e.liveAt(now):
			l.forget(p, e)
			l.live.Add(-1)
		case e.hi&bit == 0:
			live[0]++
		default:
			live[1]++
		}
	}
	return live
}
