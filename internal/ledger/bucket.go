package ledger

import (
	"math"
	"math/bits"
	"time"
)

// How slots of a token bucket are joined. The maximum of their arrival times would
// forget one side of a split, a sum would count twice what one origin took after it had
// heard of another. So a slot says whom it knew when it counted, and an origin that knew
// all others is right by itself. Where each of several knows something that the others
// do not, what happened in between cannot be known from counts alone. Then each slot's
// account is carried on as if what it does not know had been taken at the last moment
// it can have been. Moving a token to a later time leaves more of it to refill, never
// less, so each of these is at least the true debt, and so is the least of them.

// A bucket's slot has the fields of a window's, read otherwise:
//
//	at       when the bucket is full again, by this origin's account
//	cur      tokens taken in this life of the slot, which begins when there is none
//	         or it has expired; the largest number also means more
//	prev     how long before at the origin last counted, packed by packLag
//	version  tokens in the upper bits, other changes in the lower tokenShift. A new slot
//	         begins above all versions that its origin ever made in the partition, so the
//	         count goes on where it was, also of a slot that had been forgotten
//	expires  a little later than the slot counts
//
// A slot counts for one capacity's refill after at: so long a later account may still owe
// what was taken here. That is judged by at, which is the same wherever the slot is.
const (
	tokenShift   = 12
	bucketLinger = 2 * time.Second // a slot is kept so much longer: whom one node still counts, another still knows
)

// account is one live slot of a bucket as the join reads it.
type account struct {
	origin  uint16
	cur     int32
	at      int64
	last    int64 // when it last counted
	version uint64
}

// note is what one origin's slot knew of another's.
type note struct {
	by, of  uint16
	version uint64
}

// joinRoom is how many slots of a bucket are joined without allocating.
const joinRoom = 8

// debts is a token bucket as seen at one instant.
type debts struct {
	tat    int64 // when it is full again, by the join of all slots
	paced  int64 // when the share of it is full again that its slots were counted under
	others int   // slots of other origins
	notes  int   // of all origins
	knows  bool  // this process's slot takes all others into account, and its notes say only that
}

// bucket joins all slots of a token bucket; own is this process's, or nil. Nearly
// always there is one slot.
func (p *partition) bucket(id ID, lim *Limit, now int64) (u debts, own *entry) {
	t, slots, full := p.tableOf(id), 0, lim.Capacity()*lim.Interval()
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		switch e := &t.places[i]; {
		case e.due&beside == 0:
			if e.origin == 0 {
				own = e
			} else if e.liveAt(now) {
				u.others++
			}
			if e.at+full > now {
				u.tat = e.at
				slots++
			}
		case e.prev == pacing:
			u.paced = max(u.paced, e.at)
		default:
			u.notes++
		}
	}
	if slots > 1 {
		if u.knows = own != nil && own.at+full > now && u.notes == u.others && p.knowsAll(t, id, now); u.knows {
			u.tat = own.at
		} else {
			u.tat = p.join(t, id, lim, now)
		}
	}
	return u, own
}

// knowsAll says whether all notes of an id are this process's and up to date.
func (p *partition) knowsAll(t *table, id ID, now int64) bool {
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		e := &t.places[i]
		if e.due&beside == 0 || e.prev == pacing {
			continue
		}
		of := p.entryOf(ref{id, uint16(e.prev)})
		if e.origin != 0 || of == nil || of.version > e.version || !of.liveAt(now) {
			return false
		}
	}
	return true
}

// join is the arrival time by the join of more than one slot.
func (p *partition) join(t *table, id ID, lim *Limit, now int64) int64 {
	var slotRoom [joinRoom]account
	var noteRoom [joinRoom]note
	slots, notes, full := slotRoom[:0], noteRoom[:0], lim.Capacity()*lim.Interval()
	for i := t.first(id); i >= 0; i = t.after(id, i) {
		switch e := &t.places[i]; {
		case e.due&beside != 0:
			if e.prev != pacing {
				notes = append(notes, note{e.origin, uint16(e.prev), e.version})
			}
		case e.at+full > now:
			slots = append(slots, account{e.origin, e.cur, e.at, e.last(), e.version})
		}
	}
	for i := range slots { // by when they last counted; there are few
		for j := i; j > 0 && slots[j].last < slots[j-1].last; j-- {
			slots[j], slots[j-1] = slots[j-1], slots[j]
		}
	}
	return least(slots, notes, lim)
}

// least is the least of all accounts, each carried on by what it does not know. The
// slots are in the order in which they last counted.
func least(slots []account, notes []note, lim *Limit) int64 {
	refill, capacity := lim.Interval(), lim.Capacity()
	best := int64(math.MaxInt64)
	for i := len(slots) - 1; i >= 0; i-- { // whoever counted last probably knows all
		a := &slots[i]
		at, last, knowsAll := a.at, a.last, true
		for j := range slots {
			b := &slots[j]
			known := uint64(math.MaxUint64)
			if j != i {
				known = knownVersion(notes, a.origin, b.origin)
			}
			if known >= b.version {
				continue
			}
			knowsAll = false
			unknown := min(int64(b.cur), int64(min(b.version>>tokenShift-known>>tokenShift, MaxQuota)), capacity)
			if unknown <= 0 {
				continue
			}
			// No bucket was ever more than its capacity in debt when it was last taken from.
			last = max(last, b.last)
			at = max(at, min(max(at, b.last)+unknown*refill, last+capacity*refill))
		}
		if knowsAll {
			return at
		}
		best = min(best, at)
	}
	return best
}

func knownVersion(notes []note, by, of uint16) uint64 {
	for i := range notes {
		if n := &notes[i]; n.by == by && n.of == of {
			return n.version
		}
	}
	return 0
}

// takeBucket decides by a limit, or a share of it, and charges each token the price of
// the whole limit: a share admits less, but what it admitted is refilled no later.
func (l *Ledger) takeBucket(d *Decision, p *partition, id ID, share, lim *Limit, cost, now int64) {
	u, own := p.bucket(id, lim, now)
	tat := u.tat
	if share != lim {
		tat = max(tat, u.paced)
	}
	d.decideBucket(share, tat, now, cost, max(cost, 1))
	if !d.Allowed || cost == 0 {
		return
	}
	at := now + int64(d.ResetAfter)
	if share == lim {
		l.countBucket(p, id, own, lim, &u, at, cost, d.Remaining, now)
		return
	}
	l.countBucket(p, id, own, lim, &u, max(now, u.tat)+cost*lim.Interval(), cost, d.Remaining, now)
	paced := l.pace(p, id, at, now)
	own = p.entryOf(ref{id, 0}) // others may have moved
	own.expires = max(own.expires, seconds(at))
	if !paced { // the price of the share, then, for a while
		own.at, own.prev = at, packLag(at-own.last())
	}
}

// giveBucket puts tokens back, until the bucket is full. Whoever took them, this process
// notes what is owed afterwards, and knows of all others while it does. What was taken
// stays counted: others know of it or will, and to them a smaller count would hide what
// is taken next. So who does not know of the refund charges what was given back.
func (l *Ledger) giveBucket(p *partition, id ID, lim *Limit, cost, now int64) {
	u, own := p.bucket(id, lim, now)
	if u.tat <= now {
		return
	}
	u.tat = max(now, u.tat-cost*lim.Interval())
	var d Decision
	d.decideBucket(lim, u.tat, now, 0, 1)
	l.countBucket(p, id, own, lim, &u, u.tat, 0, d.Remaining, now)
}

// countBucket writes this process's slot: the arrival time, and cost more tokens.
func (l *Ledger) countBucket(p *partition, id ID, own *entry, lim *Limit, u *debts, at, cost, left, now int64) {
	full := lim.Capacity() * lim.Interval()
	if own == nil {
		own = l.insert(p, id, 0, now)
		own.version = (p.version>>tokenShift + 1) << tokenShift
	} else if own.at+full <= now { // it counts no more: a new life
		own.cur, own.at, own.prev = 0, 0, 0
	}
	last := max(now, own.last())
	own.at, own.prev = at, packLag(at-last)
	own.cur = saturate(int64(own.cur) + cost)
	if cost == 0 {
		own.version++
	} else {
		own.version = (own.version>>tokenShift + uint64(cost)) << tokenShift
	}
	p.version = max(p.version, own.version)
	was := own.expires
	own.expires = max(was, seconds(at+full+int64(bucketLinger))) // a refund must not end before what it mends
	p.setFill(own, bucketFill(left, lim))
	if p.ranks != 0 {
		p.setDue(own, p.ranks)
	}
	if (u.others > 0 || u.notes > 0) && !(u.knows && own.expires == was) {
		l.remember(p, id, now)
	}
}

// bucketFill is how much of a bucket is in use, for eviction. One that holds more than is refilled in a
// window is measured by that: of a queue, or a ban, that reaches far ahead little is in use of a
// burst that has no end, and yet whoever forgets it admits what was to wait.
func bucketFill(left int64, lim *Limit) uint8 {
	capacity := lim.Capacity()
	if left <= 0 || capacity <= lim.Quota {
		return fill(left, capacity)
	}
	return uint8(min(254, (capacity-left)*254/lim.Quota))
}

// last is when the origin of a bucket's slot last counted.
func (e *entry) last() int64 { return max(0, e.at-unpackLag(e.prev)) }

const lagBits = 26

// packLag packs a time of up to 2^53 ns into 32 bits, rounded down by less than
// 2^-25 of it. The moment that it leads back to is later then, which errs to the side
// that admits less.
func packLag(ns int64) int32 {
	ns = max(0, ns)
	e := max(0, bits.Len64(uint64(ns))-lagBits)
	return int32(uint32(e)<<lagBits | uint32(ns>>e))
}

func unpackLag(lag int32) int64 {
	e, m := uint32(lag)>>lagBits, int64(uint32(lag)&(1<<lagBits-1))
	if e > 62-lagBits {
		return math.MaxInt64
	}
	return m << e
}
