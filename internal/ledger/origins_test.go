package ledger

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However many processes there have been, the copies of new ones are taken, as long as
// not all of them have live slots.
func TestOriginsAreGivenAnew(t *testing.T) {
	l := NewLedger(1, 1<<20)
	lim := per(1000, time.Minute)
	now := int64(time.Hour)
	id := func(i int) ID { return ID{uint64(i) * 0x9e3779b97f4a7c15, uint64(i)} }
	copyOf := func(i int) Slot {
		end := windowEnd(id(i), int64(lim.Window), now)
		return Slot{ID: id(i), Origin: Origin(i + 2), At: end, Cur: int32(i%100 + 1), Version: 1, Expires: seconds(end)}
	}
	const keeps = 5 // of a process that lives all the time
	lives := func() {
		s := copyOf(keeps)
		s.Version = uint64(now)
		require.True(t, l.Merge(s, now, 0))
	}
	lives()
	for i := 100; i < originsMax+20_000; i++ {
		now += int64(10 * time.Millisecond)
		if i%1000 == 0 {
			lives()
		}
		require.True(t, l.Merge(copyOf(i), now, 0), "process %d", i)
		d := l.Take(id(i), lim, 0, now, Share{})
		require.Equal(t, 1000-int64(i%100+1), d.Remaining, "process %d", i)
	}
	lives()
	d := l.Take(id(keeps), lim, 0, now, Share{})
	require.Equal(t, int64(1000-keeps-1), d.Remaining, "one slot, not two of one process")
	require.Zero(t, l.Stats().CopiesDropped)
}

// With a live slot of each there is no index left: copies of others are refused and
// counted, and nothing is mixed up.
func TestAllOriginsInUse(t *testing.T) {
	l, now := NewLedger(1, 1<<20), int64(time.Hour)
	slot := func(i int) Slot {
		return Slot{ID: ID{uint64(i) << 40, uint64(i)}, Origin: Origin(i + 2), At: now + int64(time.Minute), Cur: 7, Version: 1, Expires: seconds(now + int64(time.Minute))}
	}
	for i := range originsMax {
		require.True(t, l.Merge(slot(i), now, 0))
	}
	require.False(t, l.Merge(slot(originsMax), now, 0))
	require.NotZero(t, l.Stats().CopiesDropped)
	known := slot(5)
	known.Version = 2
	require.True(t, l.Merge(known, now, 0), "one that is known goes on")
	for i := 0; i < originsMax; i += 997 {
		found, p := 0, &l.parts[slot(i).ID.Partition()]
		for e := range p.entries {
			if l.origins.name(e.origin) == Origin(i+2) {
				found++
			}
		}
		require.Equal(t, 1, found)
	}
	checkBooks(t, l)
}

// Merges of many processes at once, while indexes are taken back all the time: each slot
// has the origin that sent it.
func TestOriginsTakenBackWhileSlotsCome(t *testing.T) {
	l, now := NewLedger(1, 1<<20), int64(time.Hour)
	const workers, each = 4, 1500
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var back sync.WaitGroup
	back.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				l.origins.grow.Lock()
				l.origins.takeBack(l)
				l.origins.grow.Unlock()
			}
		}
	})
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				n := w*each + i
				s := Slot{ID: ID{uint64(n) << 40, uint64(n)}, Origin: Origin(n + 2), At: now + int64(time.Minute), Cur: 200_000, Prev: 100_000,
					Version: 1, Expires: seconds(now + int64(time.Minute))}
				for !l.Merge(s, now, 1) { // it was taken back in between
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	back.Wait()
	right := 0
	for i := range l.parts {
		for e := range l.parts[i].entries {
			if assert.Equal(t, Origin(e.lo+2), l.origins.name(e.origin)) {
				right++
			}
		}
	}
	require.Equal(t, workers*each, right)
}
