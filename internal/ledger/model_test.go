package ledger

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is one budget, kept dumbly: what was taken in each window there ever was,
// or the bucket's arrival time. It is never rolled, merged, evicted or packed.
type model struct {
	taken map[int64]int64 // by the end of the window
	tat   int64
}

func newModel() *model { return &model{taken: map[int64]int64{}} }

// usageAt reads the model as decide wants it.
func (m *model) usageAt(id ID, l Limit, now int64) (u usage, end int64) {
	end = windowEnd(id, int64(l.Window), now)
	return usage{cur: m.taken[end], prev: m.taken[end-int64(l.Window)], tat: m.tat}, end
}

func (m *model) take(id ID, l Limit, cost, now int64) (allowed bool, left int64) {
	u, end := m.usageAt(id, l, now)
	left = leftNaive(l, u, end, now)
	if allowed = fitsNaive(l, u, end, now, max(cost, 1), 0); allowed {
		left -= cost
		m.taken[end] += cost
		m.tat = max(m.tat, now) + cost*divUp(int64(l.Window), l.Quota)
	}
	return allowed, left
}

func (m *model) give(id ID, l Limit, cost, now int64) {
	end := windowEnd(id, int64(l.Window), now)
	m.taken[end] -= min(cost, m.taken[end])
	if m.tat > now {
		m.tat = max(now, m.tat-cost*divUp(int64(l.Window), l.Quota))
	}
}

// takers is who decides in a history. Those of a cluster are in sync: each change
// is at the others before the next call.
type takers []*Ledger

func (ls takers) sync(now int64) {
	for i, from := range ls {
		for _, s := range slots(from) {
			for j, to := range ls {
				if j != i {
					to.Merge(s, now, 0)
				}
			}
		}
	}
}

var modelWindows = []time.Duration{time.Millisecond, 999_999_937, w5, time.Minute, 31 * 24 * time.Hour}

// runHistory reads a history of calls on one budget from data, makes them on the
// ledgers and on the model, and compares each decision: the first two bytes are the
// algorithm and the window, then each four are one call.
func runHistory(t testing.TB, data []byte, ls takers) {
	if len(data) < 2 {
		return
	}
	l := Limit{Algorithm: Algorithm(data[0] % 3), Window: modelWindows[int(data[1])%len(modelWindows)]}
	id := ID{Hi: mix(uint64(data[0])), Lo: uint64(data[1])}
	m, now := newModel(), t0
	for call := 0; len(data) >= 6 && call < 200; call++ {
		op := data[2:6]
		data = data[4:]
		l.Quota = 1 + int64(op[0]>>5)*int64(op[0]>>5) // changes as it goes: 1 to 50
		cost := int64(op[1]) % (l.Capacity() + 1)
		// Two windows in 255 steps, sometimes to the nanosecond of a border.
		now += int64(op[2]) * int64(l.Window) / 128
		if op[0]&16 != 0 {
			now = windowEnd(id, int64(l.Window), now) - int64(op[0]&1)
		}
		g := ls[int(op[3])%len(ls)]
		// A bucket gives back only what the same process took.
		if op[0]&12 == 12 && (l.Algorithm != TokenBucket || len(ls) == 1) {
			g.Give(id, l, cost, now)
			m.give(id, l, cost, now)
			ls.sync(now)
			continue
		}
		d := g.Take(id, l, cost, now, all)
		allowed, left := m.take(id, l, cost, now)
		if d.Allowed != allowed || d.Remaining != left {
			require.Fail(t, "the ledger differs from the model", "call %d: %+v cost %d at t0+%v: %+v, but %v with %d left",
				call, l, cost, time.Duration(now-t0), d, allowed, left)
		}
		checkShape(t, l, cost, d)
		ls.sync(now)
		if !d.Allowed && op[0]&2 != 0 { // wait as told
			now += int64(d.RetryAfter) - 1
			require.False(t, g.Take(id, l, cost, now, all).Allowed, "call %d: a nanosecond before RetryAfter", call)
			now++
			require.True(t, g.Take(id, l, cost, now, all).Allowed, "call %d: RetryAfter does not suffice", call)
			m.take(id, l, cost, now)
			ls.sync(now)
		}
	}
}

func randomHistory(r *rand.Rand, calls int) []byte {
	data := make([]byte, 2, 2+4*calls)
	data[0], data[1] = byte(r.Uint32()), byte(r.Uint32())
	for range calls {
		op := r.Uint32()
		if r.IntN(2) == 0 {
			op &^= 0xff0000 // half of the calls come at once
		}
		data = binary.LittleEndian.AppendUint32(data, op)
	}
	return data
}

func TestHistoriesAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 400 {
		runHistory(t, randomHistory(r, 50), takers{NewLedger(1, 10)})
	}
}

// Three processes in sync are one limiter: whoever is asked, the answer is the same.
func TestThreeOriginsDecideAsOne(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 60 {
		runHistory(t, randomHistory(r, 50), takers{NewLedger(1, 10), NewLedger(2, 10), NewLedger(3, 10)})
	}
}

// A look changes nothing: not the ledger, and not what comes after.
func TestLookChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 300 {
		l := randomLimit(r)
		id, now := ID{Hi: r.Uint64(), Lo: r.Uint64()}, t0
		looked, plain := NewLedger(1, 10), NewLedger(1, 10)
		for range 20 {
			now += magnitude(r, int64(l.Window))
			before := slots(looked)
			looked.Take(id, l, 0, now, all)
			require.Equal(t, before, slots(looked))
			cost := magnitude(r, l.Capacity())
			require.Equal(t, plain.Take(id, l, cost, now, all), looked.Take(id, l, cost, now, all), "%+v", l)
		}
	}
}

// At the largest quota and window nothing overflows, and the count stays exact.
func TestBounds(t *testing.T) {
	for _, l := range []Limit{
		per(MaxQuota, MaxWindow), sliding(MaxQuota, MaxWindow), bucket(MaxQuota, MaxWindow/MaxQuota*MaxQuota, 0),
		bucket(1, MaxWindow, 1), bucket(MaxQuota, MaxQuota, MaxQuota), per(1, minWindow),
	} {
		require.True(t, valid(l))
		g, id, now := NewLedger(1, 10), idIn(0, 1), t0
		for range 3 {
			d := g.Take(id, l, l.Capacity(), now, all)
			require.True(t, d.Allowed, "%+v", l)
			require.Zero(t, d.Remaining, "%+v", l)
			d = g.Take(id, l, l.Capacity(), now, all)
			checkShape(t, l, l.Capacity(), d)
			require.False(t, d.Allowed, "%+v", l)
			require.LessOrEqual(t, d.RetryAfter, 2*MaxWindow)
			now += int64(d.RetryAfter)
		}
	}
}
