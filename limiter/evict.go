package limiter

import "runtime"

// How a ledger stays within its bound: what has expired goes by the way, a little
// with each new key; what lives goes when there is no other place, first what
// loses least.

const (
	sweepPerInsert = 2    // places looked at for something expired, per new entry
	evictSample    = 16   // places compared to find what loses least
	spareMin       = 4096 // places that are made ready before a table grows into them
)

// insert makes an empty entry of an id and origin, at the cost of another where
// the ledger is full, and returns its place.
func (l *Ledger) insert(p *partition, id ID, origin uint16, now int64) int {
	l.sweep(p, now)
	l.reserve(p, id.Partition(), now)
	l.makeRoom(p, now)
	return p.table.insert(entry{hi: id.Hi, lo: id.Lo, origin: origin, expires: 1})
}

// makeRoom lets the table take one more entry. Growing drops what has expired, so
// a table shrinks the same way.
func (l *Ledger) makeRoom(p *partition, now int64) {
	t := &p.table
	if !t.full() {
		p.prepare()
		return
	}
	live := 0
	for i := range t.places {
		if t.places[i].liveAt(now) {
			live++
		}
	}
	places := p.spare
	if n := capacityFor(live + 1); len(places) != n {
		places = make([]entry, n)
	}
	p.spare = nil
	t.resize(places, func(e *entry) bool {
		if e.liveAt(now) {
			return true
		}
		l.forget(p, e, now)
		l.live.Add(-1)
		return false
	})
	p.hand = 0
}

// prepare makes ready the places that a large table will grow into, a few pages with
// each of the last entries before that. What is slow in growth is not the move but
// the page faults on fresh memory; on a slow machine those of one large table,
// taken together, last longer than a take may.
func (p *partition) prepare() {
	const page, step = 4096 / entrySize, 4 * 4096 / entrySize
	room := p.table.room()
	n := capacityFor(p.table.used + room + 1)
	if n < spareMin || room*step >= n {
		return
	}
	if len(p.spare) != n {
		p.spare = make([]entry, n)
	}
	for i := room * step; i < min(n, (room+1)*step); i += page {
		p.spare[i] = entry{} // any write will do
	}
}

func (e *entry) liveAt(now int64) bool {
	return e.expires != 0 && int64(e.expires)*1e9 > now
}

// sweep frees expired entries near the partition's hand.
func (l *Ledger) sweep(p *partition, now int64) {
	t := &p.table
	for range min(sweepPerInsert, t.used) {
		if p.hand >= len(t.places) {
			p.hand = 0
		}
		if e := &t.places[p.hand]; e.expires != 0 && !e.liveAt(now) {
			l.removeAt(p, p.hand, now)
			l.live.Add(-1)
			continue // another may stand there now
		}
		p.hand++
	}
}

// reserve takes one of the ledger's places, by eviction if none is free: from this
// partition and others whose lock is free, a blocked budget only where there is no
// other.
func (l *Ledger) reserve(p *partition, part int, now int64) {
	for n := l.live.Load(); n < l.max; n = l.live.Load() {
		if l.live.CompareAndSwap(n, n+1) {
			return
		}
	}
	// A round fails only while those who hold what could go are at work on it; they
	// never wait for us, for a TryLock does not.
	for !l.evict(p, part, now, false) && !l.evict(p, part, now, true) {
		runtime.Gosched()
	}
}

// evict frees the place of the entry that loses least among some, and says whether
// there was one; the place stays counted in live, for the caller. Where p, whose
// lock is held, has too few to choose from, those of the partitions behind it are
// compared as well: few keys in many partitions are one pool.
func (l *Ledger) evict(p *partition, part int, now int64, blockedToo bool) bool {
	best, at := p, p.victim(now, blockedToo)
	seen, enough := p.table.used, int(min(evictSample, l.max))
	for i := 1; i < Partitions; i++ {
		if at >= 0 && (seen >= enough || best.table.places[at].worth(now) == 0) {
			break
		}
		q := &l.parts[(part+i)%Partitions]
		if !q.mu.TryLock() {
			continue
		}
		seen += q.table.used
		j := q.victim(now, blockedToo)
		if j < 0 || at >= 0 && q.table.places[j].worth(now) >= best.table.places[at].worth(now) {
			q.mu.Unlock()
			continue
		}
		if best != p {
			best.mu.Unlock()
		}
		best, at = q, j
	}
	if at >= 0 {
		l.evictAt(best, at, now)
	}
	if best != p {
		best.mu.Unlock()
	}
	return at >= 0
}

// evictAt evicts the entry at a place, and counts what is lost by it.
func (l *Ledger) evictAt(p *partition, i int, now int64) {
	if e := &p.table.places[i]; e.liveAt(now) {
		if e.origin == 0 {
			l.evicted.Add(1)
		} else {
			l.dropped.Add(1)
		}
	}
	l.removeAt(p, i, now)
}

// victim is the place of the entry to evict, or -1: something expired, else the
// one of least worth in a sample.
func (p *partition) victim(now int64, blockedToo bool) int {
	t := &p.table
	if t.used == 0 || !blockedToo && int(p.blocked) == t.used {
		return -1
	}
	best := -1
	for seen := range t.places {
		if p.hand++; p.hand >= len(t.places) {
			p.hand = 0
		}
		e := &t.places[p.hand]
		if e.expires == 0 || e.fill == 255 && !blockedToo && e.liveAt(now) {
			continue
		}
		if best < 0 || e.worth(now) < t.places[best].worth(now) {
			best = p.hand
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

// removeAt forgets the entry at a place.
func (l *Ledger) removeAt(p *partition, i int, now int64) {
	l.forget(p, &p.table.places[i], now)
	p.table.remove(i)
}

// forget settles the counters for an entry that goes.
func (l *Ledger) forget(p *partition, e *entry, now int64) {
	if e.fill == 255 {
		p.blocked--
	}
	if e.origin == 0 && e.due != 0 {
		l.lost.Add(1)
	}
}
