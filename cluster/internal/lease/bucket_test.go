package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// basin is a token bucket of which some is leased, beside one that sees each token when it is
// admitted. Messages arrive at once.
type basin struct {
	*room
	tat   int64         // when the other one is full again
	sweep time.Duration // age of the next one
}

const sweepEvery = 100 * time.Millisecond // as with every flush

// missing is for how long a bucket must refill until it has what is missing and was not admitted.
func (m *basin) missing() time.Duration {
	d, _ := m.ledger.TakeHeld(m.id, wire.Budget(&m.lim), 0, m.now(), ledger.Share{})
	return d.ResetAfter - time.Duration(max(0, m.tat-m.now()))
}

// takes takes from the budget: at a lessee, if there is one of that number, and where that has too
// little or there is none, at the lessor.
func (m *basin) takes(i int, cost int64) {
	before := m.spent
	if i < len(m.lessees) {
		s := m.lessees[i]
		m.takeAt(s, cost)
		m.deliverAsk(i, s, false)
		m.deliverAnswer(s, false)
	}
	if m.spent > before || m.take(cost) {
		m.tat = max(m.tat, m.now()) + cost*refill(&m.lim)
	}
}

// passes lets a time pass, and calls back what is idle by then.
func (m *basin) passes(d time.Duration) {
	if m.age += d; m.age < m.sweep {
		return
	}
	m.sweep = m.age + sweepEvery
	all := func(int) bool { return true }
	_, calls := m.lessor.Sweep(Sight[int]{Owned: func(int) bool { return true }, Known: all, Leaving: func(int) bool { return false }, Reached: all}, m.age, m.now())
	m.answered(calls)
}

func (m *basin) answered(calls []Call[int]) {
	m.send(calls)
	for i, s := range m.lessees {
		m.deliverRecall(i, s, false)
		m.deliverReturn(i, s, false)
	}
}

// What is leased of a token bucket and spent late, or not at all, is missing in it afterwards by no
// more than is refilled while a slice may lie idle: so long a slice may outlast what the bucket lacked
// when it was handed out, while others take. However slowly or fast all take, nobody has more.
func TestLeasedBucketsAreNearlyExact(t *testing.T) {
	var tables []*Table
	for range 4 {
		tables = append(tables, NewTable())
	}
	l := ledger.NewLedger(lessorName, 1<<20)
	for seed := range uint64(2000) {
		m := &basin{room: newRoom(seed, l, tables)}
		m.lessees = m.lessees[:1+m.r.IntN(len(tables))]
		m.lim = limiter.Limit{Quota: []int64{50, 336, 3000}[m.r.IntN(3)], Window: 5 * time.Second, Lease: limiter.LeaseAlways, Algorithm: limiter.TokenBucket}
		pace := func() int64 { return 1 + m.r.Int64N(int64(40*time.Millisecond)) }
		gap := pace()
		for range 500 {
			if m.r.IntN(50) == 0 {
				gap = pace()
			}
			m.passes(time.Duration(m.r.Int64N(2 * gap)))
			m.takes(m.r.IntN(len(m.lessees)+1), 1+m.r.Int64N(3)/2)
		}
		m.answered(m.lessor.Recall(m.id, func(int) bool { return true }, m.age))
		require.True(t, m.quiet())
		require.LessOrEqual(t, m.missing(), leaseIdle+sweepEvery, "seed %d, %d", seed, m.lim.Quota)
		require.GreaterOrEqual(t, m.missing(), -sweepEvery, "seed %d, %d", seed, m.lim.Quota)
	}
}
