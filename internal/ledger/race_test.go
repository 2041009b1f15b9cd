package ledger

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is admitted before a partition is ceded is in the slots that are handed
// over, and nothing is admitted after: with copies coming in and flushes going out.
func TestCedeUnderLoad(t *testing.T) {
	for range 20 {
		from, to, lim := NewLedger(1, 1000), NewLedger(2, 1000), per(100_000, w5)
		setHolders(from, 5, 0b1, 0)
		to.Hold(5, false)
		var admitted atomic.Int64
		var wg sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			wg.Go(func() {
				started <- struct{}{}
				for i := 0; ; i++ {
					d, held := from.TakeHeld(idIn(5, i%3), lim, 1, t0, all)
					if !held {
						return
					}
					if d.Allowed {
						admitted.Add(1)
					}
				}
			})
		}
		wg.Go(func() {
			for from.Held().Has(5) {
				for _, s := range collect(from, 5, 0b1, t0) {
					to.Merge(s.slot, t0, 0)
				}
			}
		})
		for range 4 {
			<-started
		}
		for !from.Cede(5, 10, t0, func(due []Slot) bool {
			for _, s := range due {
				to.Merge(s, t0, 0)
			}
			to.Hold(5, true)
			return true
		}) {
			require.True(t, from.Held().Has(5))
		}
		wg.Wait()
		known := int64(0)
		for n := range 3 {
			known += lim.Quota - to.Take(idIn(5, n), lim, 0, t0, all).Remaining
		}
		require.Equal(t, admitted.Load(), known)
	}
}

// Who waits for the lock while a partition is ceded is told that it is held no more: what
// it admitted then would be in nobody's copy.
func TestNothingIsAdmittedWhileCeding(t *testing.T) {
	for range 50 {
		l, lim := NewLedger(1, 1000), per(1000, w5)
		setHolders(l, 5, 0b1, 0)
		started, admitted := make(chan struct{}), make(chan bool, 4)
		require.True(t, l.Cede(5, 10, t0, func([]Slot) bool {
			for range cap(admitted) {
				go func() {
					started <- struct{}{}
					_, held := l.TakeHeld(idIn(5, 0), lim, 1, t0, all)
					admitted <- held
				}()
			}
			for range cap(admitted) {
				<-started
			}
			return true
		}))
		for range cap(admitted) {
			require.False(t, <-admitted)
		}
	}
}

// Everything at once: no race, and the books are right in the end.
func TestEverythingAtOnce(t *testing.T) {
	g := NewLedger(1, 200)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for i := range 600 {
				id, now := idIn(i%7, (i*i+w)%90), t0+int64(i)*int64(s)/50
				l := joinLimits[i%len(joinLimits)]
				switch (i + w) % 6 {
				case 0, 1:
					g.Take(id, l, 1+int64(i%3), now, Share{1, 2})
				case 2:
					g.Give(id, l, 1, now)
				case 3:
					g.Merge(Slot{ID: id, Origin: Origin(i % 9), At: now, Cur: 3, Version: uint64(i), Expires: uint32(now/1e9) + 5}, now, 1)
				case 4:
					setHolders(g, i%7, uint8(i%4), uint8(i%2))
					dueCount(g, i%7, 1)
					g.Due(id, 1, 1)
				case 5:
					collect(g, i%7, uint8(i%4), now)
					if i%200 == 5 {
						g.Step(time.Millisecond)
					}
				}
				g.Stats()
			}
		})
	}
	wg.Wait()
	checkBooks(t, g)
}
