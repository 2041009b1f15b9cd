package ledger

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Origin is one process: a restarted node is a new origin.
type Origin uint64

// Slot is what one origin has admitted for one id. Nobody but the origin ever
// makes a new version of it; of two copies the one of the higher version wins.
type Slot struct {
	ID      ID
	Origin  Origin
	At      int64 // end of the window that Cur counts in, or the bucket's arrival time
	Cur     int32 // taken in that window, less what was given back; of a bucket, in all
	Prev    int32 // taken in the window before; of a bucket, the time since the last take
	Version uint64
	Expires uint32  // seconds of cluster time at which the slot means nothing any more
	Fill    uint8   // share of its limit that was in use, of 255; for eviction only
	Knows   []Known // of a bucket: whom the origin knew when it counted
	Paced   int64   // of a bucket: arrival time under the share it was counted under, or 0
}

// Known is what one origin's slot takes another's into account to: its version. What is
// not known is charged, so to know of nobody is safe.
type Known struct {
	Origin  Origin
	Version uint64
}

// KnownMost is how many others a slot may know; normally it is the holder before. What
// else there is finds no room, and its tokens are charged twice.
const KnownMost = 8

// Ledger is all slots that a process holds: its own, and copies of other origins'.
// Times, those in slots too, are nanoseconds of the caller's clock, which may run a
// little slower or faster but never jumps. It is safe for concurrent use; each
// partition has a lock of its own. It has no goroutine and reads no clock.
//
// Windows tile another time, which is the caller's and what Step has added to it. So a
// step is one store: whatever is held stays where it is, and whoever decides meanwhile
// sees either the old windows or the new ones, with all counts in both.
type Ledger struct {
	parts   [Partitions]partition
	ahead   atomic.Int64 // what windows tile, less the caller's clock
	_       [120]byte    // each take reads it: nothing that changes is on its line
	origins originTable
	max     int64
	live    atomic.Int64 // entries in all partitions, with reserved places
	held    PartitionSet // this process decides
	due     PartitionSet // something is due

	evicted atomic.Int64 // live budgets that the cap forgot
	dropped atomic.Int64 // live copies that the cap forgot or refused
	lost    atomic.Int64 // own slots that ended before they were delivered
	places  atomic.Int64 // in all tables
}

// partition is one lock and what it guards. It fills two cache lines, so that
// neighbours do not slow each other down: all that a take from a known key needs
// is in the first.
type partition struct {
	mu      sync.Mutex
	table   table    // the first one
	more    *[]table // the others; nil where there are none
	version uint64
	blocked int32 // entries with nothing left, evicted last
	part    uint16
	held    bool  // this process decides
	ranks   uint8 // ranks of holders that are other processes: what a change is due to
	ledger  *Ledger
	owed    *[Ranks]owed // what is due to others; nil if nothing was yet
	used    int          // entries in all tables
	beside  int          // of them those that stand beside a slot
	_       [32]byte
}

// NewLedger makes an empty ledger of at most maxKeys slots, but at least one. It
// decides for all partitions until told otherwise by Hold.
func NewLedger(self Origin, maxKeys int) *Ledger {
	l := &Ledger{max: max(1, int64(maxKeys))}
	l.origins.init(self)
	for p := range l.parts {
		l.parts[p].part, l.parts[p].ledger = uint16(p), l
		l.Hold(p, true)
	}
	return l
}

// windowEnd is the end of the window in which now lies.
func (l *Ledger) windowEnd(id ID, lim *Limit, now int64) int64 {
	ahead := l.ahead.Load()
	return windowEnd(id, int64(lim.Window), now+ahead) - ahead
}

// Step moves what windows tile by d against the caller's clock. Counts do not move:
// what lay in one window may then lie across two, and counts in both.
func (l *Ledger) Step(d time.Duration) { l.ahead.Add(int64(d)) }

// Share is how much of the cluster a decider sees; the zero value is all of it.
type Share struct{ Seen, Known int }

// Take decides and, if it admits, counts in this process's own slot. The arguments
// are ones that limiter.Check accepts.
func (l *Ledger) Take(id ID, lim Limit, cost, now int64, s Share) (d Decision) {
	if s.Seen < s.Known {
		part := lim.share(int64(s.Seen), int64(s.Known))
		l.take(&d, id, &part, &lim, cost, now)
	} else {
		l.take(&d, id, &lim, &lim, cost, now)
	}
	return d
}

// TakeInto is Take into a zero Decision, by all of the limit.
func (l *Ledger) TakeInto(d *Decision, id ID, lim *Limit, cost, now int64) {
	l.take(d, id, lim, lim, cost, now)
}

// take is Take into a zero Decision, under a share of a limit or the limit itself. On
// this path nothing large is copied and no unlock deferred: each costs some percent.
func (l *Ledger) take(d *Decision, id ID, share, lim *Limit, cost, now int64) {
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	l.takeLocked(d, p, id, share, lim, cost, now)
	p.mu.Unlock()
}

// TakeHeld is Take if this process decides for the partition, else ok is false.
func (l *Ledger) TakeHeld(id ID, lim Limit, cost, now int64, s Share) (d Decision, ok bool) {
	share := &lim
	if s.Seen < s.Known {
		part := lim.share(int64(s.Seen), int64(s.Known))
		share = &part
	}
	p := &l.parts[id.Partition()]
	p.mu.Lock()
	if ok = p.held; ok {
		l.takeLocked(&d, p, id, share, &lim, cost, now)
	}
	p.mu.Unlock()
	return d, ok
}

func (l *Ledger) takeLocked(d *Decision, p *partition, id ID, share, lim *Limit, cost, now int64) {
	if lim.Algorithm == TokenBucket {
		l.takeBucket(d, p, id, share, lim, cost, now)
		return
	}
	lim = share
	end := l.windowEnd(id, lim, now)
	u, own := p.usage(id, lim, end)
	d.decide(lim, u, end, now, cost)
	if d.Allowed && cost > 0 {
		if own == nil {
			own = l.insert(p, id, 0, now)
		}
		own.roll(end, int64(lim.Window))
		own.cur = saturate(int64(own.cur) + cost)
		p.changed(own, lim, d.Remaining)
	}
}

// usage joins all slots of a window's id; own is this process's, or nil.
func (p *partition) usage(id ID, lim *Limit, end int64) (u usage, own *entry) {
	t := p.tableOf(id)
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		e := &t.places[i]
		if e.origin == 0 {
			own = e
		}
		u.add(e, lim, end)
	}
	return u, own
}

// roll makes the entry one of the window that ends at end, unless it is of a later
// one: then time was put back a little, and it stays there.
func (e *entry) roll(end, w int64) {
	switch d := end - e.at; {
	case d < -w || d >= 2*w:
		e.prev, e.cur, e.at = 0, 0, end
	case d >= w:
		e.prev, e.cur, e.at = e.cur, 0, end
	case d > 0:
		e.at = end
	}
}

// changed notes a new version of an own window: when it expires, how full its
// budget is, and to whom it is due.
func (p *partition) changed(e *entry, lim *Limit, left int64) {
	p.version++
	e.version = p.version
	expires := e.at
	if lim.Algorithm == SlidingWindow {
		expires += int64(lim.Window)
	}
	e.expires = seconds(expires)
	p.setFill(e, fill(left, lim.Capacity()))
	if p.ranks != 0 {
		p.setDue(e, p.ranks)
	}
}

func (p *partition) setFill(e *entry, f uint8) {
	if e.fill == 255 {
		p.blocked--
	}
	if e.fill = f; f == 255 {
		p.blocked++
	}
}

// fill is how much of a capacity is in use, 255 only if nothing is left.
func fill(left, capacity int64) uint8 {
	if left <= 0 {
		return 255
	}
	return uint8(254 - min(254, left*254/max(1, capacity)))
}

// seconds rounds a time up to the form in which expiry is stored.
func seconds(ns int64) uint32 {
	s := (ns + int64(time.Second) - 1) / int64(time.Second)
	return uint32(min(max(s, 1), math.MaxUint32))
}

func saturate(x int64) int32 { return int32(min(max(x, math.MinInt32), math.MaxInt32)) }

// Stats is a reading of a ledger's counters.
type Stats struct {
	Keys          int64 // slots held now, own and copies, some of them expired, and notes
	Evicted       int64 // own live budgets forgotten because MaxKeys was reached
	CopiesDropped int64 // live copies forgotten or refused because MaxKeys was reached
	LostSlots     int64 // own slots that expired, or were evicted, before delivery
	Bytes         int64 // memory of the tables that hold the slots
}

// Stats reads the counters.
func (l *Ledger) Stats() Stats {
	return Stats{l.live.Load(), l.evicted.Load(), l.dropped.Load(), l.lost.Load(), l.places.Load() * entrySize}
}
