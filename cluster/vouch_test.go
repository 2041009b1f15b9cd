package cluster

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
)

// A member sends a copy of another's counts that says nothing was taken, and is newer than all: that
// one does not vouch for it, and sends its own again. When it leaves, its counts are known.
func TestRefusesCopiesThatNobodyMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		v := x.a.view.Load()
		for i := 0; ; i++ { // a budget that b holds, and a is to hold after it
			x.key = fmt.Sprint(i)
			if _, mine := v.holderPeer(x.a.id(x.key, &x.limit).Partition(), 1); holds(x.b, x.key, x.limit) && mine {
				break
			}
		}
		require.Equal(t, 6, x.spend(2))
		time.Sleep(300 * time.Millisecond) // a flush
		own, ok := x.b.ledger.Own(x.a.id(x.key, &x.limit), x.b.clock.ownNow())
		require.True(t, ok)
		forged := own.Move(x.b.clock.Ahead())
		forged.Version, forged.Cur = forged.Version+1_000_000, 0
		x.ships(x.a, forged)
		time.Sleep(500 * time.Millisecond)
		require.EqualValues(t, 1, x.a.Stats().Refused.Slots)
		require.Zero(t, x.b.Stats().Refused)
		copies := x.a.ledger.Slots(own.ID.Partition(), x.a.clock.ownNow())
		require.Len(t, copies, 1)
		require.Equal(t, own.Version, copies[0].Version)

		require.NoError(t, x.b.Leave(t.Context()))
		time.Sleep(time.Second)
		admitted := 0
		for range 20 {
			d, err := x.c.Take(t.Context(), x.key, x.limit, 1)
			require.NoError(t, err)
			if d.Allowed {
				admitted++
			}
		}
		require.Equal(t, 4, admitted, "what was left of the budget")
	})
}

// Copies that their origin did make are believed, and it is asked once for many.
func TestVouchesForWhatItMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		x.key = x.keyOf(x.b)
		require.Equal(t, 6, x.spend(2))
		own, ok := x.b.ledger.Own(x.a.id(x.key, &x.limit), x.b.clock.ownNow())
		require.True(t, ok)
		for range 3 {
			x.ships(x.a, own.Move(x.b.clock.Ahead()))
			time.Sleep(200 * time.Millisecond)
		}
		require.Zero(t, x.a.Stats().Refused)
		h := x.a.view.Load().byName["b"].hearsay.Load()
		h.mu.Lock()
		require.Empty(t, h.list)
		require.Equal(t, own.Version, h.tops[own.ID.Partition()])

		// More than can be vouched for at a time is refused, and stays due.
		h.list = make([]copied, hearsayMost)
		h.mu.Unlock()
		h.asked.Store(true) // and b does not answer
		slot := own.Move(x.b.clock.Ahead())
		slot.Version += 1
		require.ErrorContains(t, x.says(x.a, wire.KindShip, &wire.Ship{Fingerprint: x.c.view.Load().table.Fingerprint(), Now: x.c.clock.now(),
			Slots: []ledger.Slot{slot}}), errTooMany.Error())
	})
}

// However many ask at once, and whatever comes meanwhile, each copy is asked about once, and nothing
// is left in the list.
func TestVouchersAreAskedOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newLies(t)
		p := x.a.view.Load().byName["b"]
		h := new(hearsay)
		p.hearsay.Store(h)
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 200 {
					h.mu.Lock()
					h.list = append(h.list, copied{ledger.ID{Lo: uint64(200*w + i)}, 1, "c"})
					h.mu.Unlock()
					x.a.askVoucher(p, h)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		h.mu.Lock()
		defer h.mu.Unlock()
		require.Empty(t, h.list)
		require.False(t, h.asked.Load())
	})
}
