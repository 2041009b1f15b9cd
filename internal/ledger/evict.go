package ledger

import "runtime"

// How a ledger stays within its bound: what has expired goes by the way, a little
// with each new key; what lives goes when there is no other place, first what
// loses least.

const (
	sweepPerInsert = 2  // places looked at for something expired, per new entry
	evictSample    = 16 // places compared to find what loses least
)

// insert makes an empty entry of an id and origin, at the cost of another where
// the ledger is full. What was known of other entries' places is void then.
func (l *Ledger) insert(p *partition, id ID, origin uint16, now int64) *entry {
	l.sweep(p, p.tableOf(id), now)
	l.reserve(p, id, now)
	t := l.roomFor(p, id, now)
	p.used++
	return &t.places[t.insert(entry{hi: id.Hi, lo: id.Lo, origin: origin, expires: 1})]
}

func (e *entry) liveAt(now int64) bool {
	return e.expires != 0 && int64(e.expires)*1e9 > now
}

// sweep frees expired entries near a table's hand.
func (l *Ledger) sweep(p *partition, t *table, now int64) {
	for range min(sweepPerInsert, t.used) {
		if int(t.hand) >= len(t.places) {
			t.hand = 0
		}
		if e := &t.places[t.hand]; e.expires != 0 && !e.liveAt(now) {
			l.removeAt(p, t, int(t.hand))
			l.live.Add(-1)
			continue // another may stand there now
		}
		t.hand++
	}
}

// reserve takes one of the ledger's places, by eviction if none is free: from this
// partition and others whose lock is free, a blocked budget only where there is no
// other.
func (l *Ledger) reserve(p *partition, id ID, now int64) {
	if l.place() {
		return
	}
	// A round fails only while those who hold what could go are at work on it; they
	// never wait for us, for a TryLock does not.
	for !l.evict(p, id, now, false, false) && !l.evict(p, id, now, true, false) {
		runtime.Gosched()
	}
}

// place takes one of the ledger's places, if one is free.
func (l *Ledger) place() bool {
	for n := l.live.Load(); n < l.max; n = l.live.Load() {
		if l.live.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// evict frees the place of the entry that loses least among some, and says whether
// there was one; the place stays counted in live, for the caller. Where p, whose
// lock is held, has too few to choose from, those of the partitions behind it are
// compared as well: few keys in many partitions are one pool. What the id itself has may
// be spared.
func (l *Ledger) evict(p *partition, id ID, now int64, blockedToo, spare bool) bool {
	best, at := p, p.victim(id, now, blockedToo, spare)
	seen, enough := p.used, int(min(evictSample, l.max))
	for i := 1; i < Partitions; i++ {
		if at.table != nil && (seen >= enough || at.entry().worth(now) == 0) {
			break
		}
		q := &l.parts[(id.Partition()+i)%Partitions]
		if !q.mu.TryLock() {
			continue
		}
		seen += q.used
		other := q.victim(id, now, blockedToo, spare)
		if other.table == nil || at.table != nil && other.entry().worth(now) >= at.entry().worth(now) {
			q.mu.Unlock()
			continue
		}
		if best != p {
			best.mu.Unlock()
		}
		best, at = q, other
	}
	if at.table != nil {
		l.evictAt(best, at, now)
	}
	if best != p {
		best.mu.Unlock()
	}
	return at.table != nil
}

// place is where an entry stands.
type place struct {
	table *table // nil is nowhere
	i     int
}

func (a place) entry() *entry { return &a.table.places[a.i] }

// evictAt evicts the entry at a place, and counts what is lost by it.
func (l *Ledger) evictAt(p *partition, at place, now int64) {
	if e := at.entry(); e.liveAt(now) && e.due&beside == 0 {
		if e.origin == 0 {
			l.evicted.Add(1)
		} else {
			l.dropped.Add(1)
		}
	}
	l.removeAt(p, at.table, at.i)
}

// victim is where the entry to evict stands: something expired, else the one of least
// worth in a sample, from the id's table or, where none there may go, from another.
func (p *partition) victim(id ID, now int64, blockedToo, spare bool) place {
	if !blockedToo && int(p.blocked) == p.used {
		return place{}
	}
	first, n := p.index(id), p.tables()
	for k := range n {
		t := p.at((first + k) % n)
		if i := t.victim(id, now, blockedToo, spare); i >= 0 {
			return place{t, i}
		}
	}
	return place{}
}

// victim is the same within one table: a place, or -1.
func (t *table) victim(id ID, now int64, blockedToo, spare bool) int {
	if t.used == 0 {
		return -1
	}
	best := -1
	for seen := range t.places {
		if t.hand++; int(t.hand) >= len(t.places) {
			t.hand = 0
		}
		e := &t.places[t.hand]
		if e.expires == 0 || e.fill == 255 && !blockedToo && e.liveAt(now) || spare && e.hi == id.Hi && e.lo == id.Lo {
			continue
		}
		if best < 0 || e.worth(now) < t.places[best].worth(now) {
			best = int(t.hand)
		}
		if !e.liveAt(now) || seen >= evictSample {
			break
		}
	}
	return best
}

// worth orders what to keep: nothing for what has expired, then by the share of
// the budget in use, then by how long it will matter.
func (e *entry) worth(now int64) uint64 {
	if !e.liveAt(now) {
		return 0
	}
	return uint64(e.fill)<<32 | uint64(e.expires)
}

// removeAt forgets the entry at a place of a table.
func (l *Ledger) removeAt(p *partition, t *table, i int) {
	l.forget(p, &t.places[i])
	t.remove(i)
}

// forget settles the counters for an entry that goes.
func (l *Ledger) forget(p *partition, e *entry) {
	p.used--
	if e.due&beside != 0 {
		p.beside--
	}
	if e.fill == 255 {
		p.blocked--
	}
	if e.origin == 0 && e.due != 0 && e.due != beside {
		l.lost.Add(1)
	}
}
