package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// t0 is an instant at which a window of every id with phase 0 begins; tN is N
// seconds later. Most tests use windows of five seconds: two of them are t0 to t9.
const (
	s  = time.Second
	w5 = 5 * s

	t0 = int64(100_000 * time.Hour)
	t1 = t0 + int64(1*s)
	t2 = t0 + int64(2*s)
	t3 = t0 + int64(3*s)
	t4 = t0 + int64(4*s)
	t5 = t0 + int64(5*s)
	t6 = t0 + int64(6*s)
	t7 = t0 + int64(7*s)
	t8 = t0 + int64(8*s)
	t9 = t0 + int64(9*s)
)

// idIn makes the nth id of a partition. Its windows have phase 0.
func idIn(part, n int) ID { return ID{Lo: uint64(part + n*Partitions)} }

// all is the share of a decider that sees everybody.
var all = Share{}

// entries walks a ledger and counts what it really holds.
func entries(l *Ledger) (n int) {
	for i := range l.parts {
		p := &l.parts[i]
		p.mu.Lock()
		for range p.entries {
			n++
		}
		p.mu.Unlock()
	}
	return n
}

// whose names a slot: the budget, and who wrote it.
type whose struct {
	id     ID
	origin Origin
}

// slots reads everything that a ledger holds.
func slots(l *Ledger) map[whose]Slot {
	m := map[whose]Slot{}
	for i := range l.parts {
		p := &l.parts[i]
		p.mu.Lock()
		for e := range p.slots {
			s := l.slot(p, e)
			m[whose{s.ID, s.Origin}] = s
		}
		p.mu.Unlock()
	}
	return m
}

// slotOf reads one slot, which must be there.
func slotOf(t testing.TB, l *Ledger, id ID, o Origin) Slot {
	t.Helper()
	s, ok := slots(l)[whose{id, o}]
	require.True(t, ok, "no slot of %v by %v", id, o)
	return s
}

// checkBooks compares a ledger's counters with what a walk finds.
func checkBooks(t testing.TB, l *Ledger) {
	t.Helper()
	live, places := 0, 0
	for i := range l.parts {
		p := &l.parts[i]
		p.mu.Lock()
		used, blocked, besides := 0, 0, 0
		for e := range p.entries {
			used++
			if e.fill == 255 {
				blocked++
			}
			if e.due&beside != 0 {
				besides++
			}
		}
		require.Equal(t, besides, p.beside, "partition %d: what stands beside slots", i)
		inTables := 0
		for j := range p.tables() {
			inTables += int(p.at(j).used)
			places += len(p.at(j).places)
		}
		if used != p.used || used != inTables || blocked != int(p.blocked) {
			require.Fail(t, "a partition's counters are wrong", "partition %d: used %d, %d in tables, found %d; blocked %d, found %d",
				i, p.used, inTables, used, p.blocked, blocked)
		}
		live += used
		p.mu.Unlock()
	}
	require.Equal(t, int64(live), l.live.Load(), "live")
	require.Equal(t, int64(places)*entrySize, l.Stats().Bytes, "bytes")
	require.LessOrEqual(t, int64(live), l.max, "more than MaxKeys")
}

// checkShape is what holds for every decision on a valid limit.
func checkShape(t testing.TB, l Limit, cost int64, d Decision) {
	t.Helper()
	ok := d.Allowed == (d.RetryAfter == 0) && d.RetryAfter >= 0 && d.ResetAfter >= 0 &&
		d.Remaining >= 0 && d.Remaining <= l.Capacity()
	if d.Allowed {
		ok = ok && d.Remaining <= l.Capacity()-cost
	} else {
		ok = ok && d.Remaining < max(cost, 1)
	}
	if !ok {
		require.Fail(t, "impossible decision", "limit %+v cost %d: %+v", l, cost, d)
	}
}

func per(quota int64, window time.Duration) Limit { return Limit{Quota: quota, Window: window} }

// valid says whether a limit is one that package limiter accepts.
func valid(l Limit) bool {
	if l.Quota < 1 || l.Quota > MaxQuota || l.Window < minWindow || l.Window > MaxWindow || l.Burst < 0 || l.Burst > MaxQuota {
		return false
	}
	if l.Algorithm != TokenBucket {
		return l.Burst == 0
	}
	return l.Quota <= int64(l.Window) && l.Capacity() <= int64(MaxWindow)/l.Interval()
}

const minWindow = time.Millisecond

func bucket(quota int64, window time.Duration, burst int64) Limit {
	return Limit{Quota: quota, Window: window, Burst: burst, Algorithm: TokenBucket}
}

func sliding(quota int64, window time.Duration) Limit {
	return Limit{Quota: quota, Window: window, Algorithm: SlidingWindow}
}
