package ledger

import "math/bits"

// entry is a slot as stored: 48 bytes and no pointer, so that a million of them
// are nothing to the garbage collector.
type entry struct {
	hi, lo  uint64
	at      int64  // end of the window counted in cur; for a bucket see bucket.go
	version uint64 // grows with every change by the origin
	cur     int32  // may be negative: refunds of what other origins admitted
	prev    int32
	expires uint32 // seconds of cluster time at which it means nothing; 0 is a free place
	origin  uint16 // index into Ledger.origins; 0 is this process
	fill    uint8  // share of the limit in use, 255 means that nothing is left
	due     uint8  // one bit per rank of holder that does not have this version
}

// beside marks, among the due bits, an entry that is no slot but belongs to the slot of
// its id and origin: notes.go tells which there are.
const beside uint8 = 1 << 6

// table is open addressing with Robin Hood displacement (Celis, 1986) and backward
// shift deletion, over places ordered by the id's upper half: homes are, and so are
// the entries of one home. So one comparison per place says whether a search is at
// its end, an id's entries stand together whatever their origin, and a table is
// resized by reading and writing straight on. Never are all places in use.
type table struct {
	places []entry
	used   int32
	hand   int32 // where the search for what may go continues
}

const (
	tableMin  = 8
	entrySize = 48
)

// home is where an id would like to be.
func (t *table) home(hi uint64) int {
	h, _ := bits.Mul64(hi, uint64(len(t.places)))
	return int(h)
}

// next is the place after i.
func (t *table) next(i int) int {
	if i++; i == len(t.places) {
		return 0
	}
	return i
}

// distance is how far the entry at i stands from its home.
func (t *table) distance(i int) int {
	d := i - t.home(t.places[i].hi)
	if d < 0 {
		d += len(t.places)
	}
	return d
}

// first is the place of the first entry of an id, or -1.
func (t *table) first(id ID) int {
	if t.used == 0 {
		return -1
	}
	return t.seek(id, t.home(id.Hi))
}

// after is the place of the id's next entry behind place i, or -1.
func (t *table) after(id ID, i int) int {
	return t.seek(id, t.next(i))
}

// seek looks for an entry of the id from place i on. A free place ends the search,
// and so does an entry that comes after the id in order, unless that one has run
// over the border from the last places: ours would stand there.
func (t *table) seek(id ID, i int) int {
	places := t.places
	for {
		if uint(i) >= uint(len(places)) {
			i = 0
		}
		e := &places[i]
		if e.hi == id.Hi && e.lo == id.Lo && e.expires != 0 {
			return i
		}
		if e.expires == 0 || e.hi > id.Hi && t.home(e.hi) <= i {
			return -1
		}
		i++
	}
}

// insert puts an entry of an id and origin that are not there yet, and returns its
// place. There is room: the table is not full.
func (t *table) insert(e entry) int {
	i, d, at := t.home(e.hi), 0, -1
	for {
		p := &t.places[i]
		if p.expires == 0 {
			*p = e
			t.used++
			if at < 0 {
				at = i
			}
			return at
		}
		if own := t.distance(i); own < d || own == d && p.hi > e.hi {
			*p, e = e, *p
			if at < 0 {
				at = i
			}
			d = own
		}
		i = t.next(i)
		d++
	}
}

// remove frees a place and closes the gap. Another entry may stand there then.
func (t *table) remove(i int) {
	for {
		j := t.next(i)
		if t.places[j].expires == 0 || t.distance(j) == 0 {
			break
		}
		t.places[i] = t.places[j]
		i = j
	}
	t.places[i] = entry{}
	t.used--
}

// full says whether there is no room for one more entry.
func (t *table) full() bool { return (int(t.used)+1)*10 > len(t.places)*9 }

// newTable makes an empty table that n entries fit into.
func newTable(n int) table { return table{places: make([]entry, capacityFor(n))} }

// fill puts those entries of another table that keep wants into this empty one, which
// has room for them. Since the places of both have one order, each entry goes to its
// home or behind the one before. The new places are not read, only written: reading
// fresh memory first would cost a second page fault for each page, and faults are most
// of the time.
func (t *table) fill(from *table, keep func(e *entry) bool) {
	old, over := from.places, from.overrun()
	next := 0
	for _, part := range [2][]entry{old[over:], old[:over]} {
		for i := range part {
			e := &part[i]
			if e.expires == 0 || !keep(e) {
				continue
			}
			at := max(next, t.home(e.hi))
			if at >= len(t.places) {
				t.insert(*e)
				continue
			}
			t.places[at] = *e
			t.used++
			next = at + 1
		}
	}
}

// overrun is how many entries stand at the first places because the last ones were
// in use: they are the last in order.
func (t *table) overrun() int {
	for i := range t.places {
		if e := &t.places[i]; e.expires == 0 || t.home(e.hi) <= i {
			return i
		}
	}
	return 0
}

// capacityFor is how many places to have for n entries: a quarter more, and all
// that the allocator would round up to anyway.
func capacityFor(n int) int {
	places := max(tableMin, n+n/4+1)
	if size := places * entrySize; size > 32<<10 {
		const page = 8 << 10
		places = (size + page - 1) / page * page / entrySize
	}
	return places
}
