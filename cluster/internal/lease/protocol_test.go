package lease

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// An ask's fate, from every state. The table in lessee.go has the same rows.
func TestAskStates(t *testing.T) {
	for from, want := range map[asking]struct{ begin, sent, unsent asking }{
		calm:       {begin: asked},
		unsure:     {begin: askedAgain},
		asked:      {sent: unsure, unsent: calm},
		askedAgain: {sent: unsure, unsent: unsure},
		givenUp:    {sent: calm, unsent: calm},
	} {
		if from.underWay() {
			require.Equal(t, want.sent, from.fail(true), "%d", from)
			require.Equal(t, want.unsent, from.fail(false), "%d", from)
		} else {
			require.Equal(t, want.begin, from.begin(), "%d", from)
		}
	}
}

// room is one budget: who holds it, who leases of it, and what is on its way between them.
// Messages of one direction keep their order; any may get lost, and any call may be given up
// by who made it while it is still under way.
type room struct {
	r       *rand.Rand
	id      ledger.ID
	lim     limiter.Limit
	age     time.Duration
	ledger  *ledger.Ledger
	lessor  Lessor[int]
	lessees []*side
	spent   int64
	trace   []string
}

// side is a lessee with both directions of its wire.
type side struct {
	table   *Table
	ask     *wire.Lease // under way, as its caller sees it
	began   time.Duration
	asks    []*wire.Lease // on their way to the lessor
	answers []*wire.Lease // and back
	recall  *Call[int]    // under way, as its caller sees it
	recalls []*Call[int]  // on their way to the lessee
	parked  []parked      // waiting there
	returns []returned    // and back
}

type parked struct {
	call *Call[int]
	wait <-chan struct{}
}

type returned struct {
	call *Call[int]
	left int64
	lost bool
}

const lessorName = ledger.Origin(1)

// newRoom is a room for a budget of its own, with a ledger and tables that others had before:
// making those costs more than all the rest.
func newRoom(seed uint64, l *ledger.Ledger, tables []*Table) *room {
	r := rand.New(rand.NewPCG(seed, 7))
	m := &room{r: r, id: ledger.ID{Hi: r.Uint64(), Lo: r.Uint64()}, age: time.Hour, ledger: l,
		lim: limiter.Limit{Quota: 1 + r.Int64N(2000), Window: 300 * 24 * time.Hour, Lease: limiter.LeaseAlways, Algorithm: limiter.Algorithm(r.IntN(3))}}
	for _, t := range tables {
		*t.set(m.id) = set{}
		m.lessees = append(m.lessees, &side{table: t})
	}
	return m
}

func (m *room) now() int64 { return int64(100*365*24*time.Hour) + int64(m.age) }

func (m *room) note(f string, args ...any) { m.trace = append(m.trace, fmt.Sprintf(f, args...)) }

// take takes from the budget itself.
func (m *room) take(cost int64) bool {
	d, _ := m.ledger.TakeHeld(m.id, wire.Budget(&m.lim), cost, m.now(), ledger.Share{})
	if d.Allowed {
		m.spent += cost
	}
	return d.Allowed
}

// step does one thing at random. Where loss is false, nothing gets lost any more.
func (m *room) step(loss bool) {
	i := m.r.IntN(len(m.lessees))
	s := m.lessees[i]
	lose := loss && m.r.IntN(4) == 0
	switch m.r.IntN(9) {
	case 0:
		m.takeAt(s, 1+m.r.Int64N(5))
	case 1:
		if loss {
			m.note("take %v", m.take(1+m.r.Int64N(20)))
		}
	case 2:
		m.deliverAsk(i, s, lose)
	case 3:
		m.deliverAnswer(s, lose)
	case 4:
		if s.ask != nil && lose {
			m.note("%d gives up its ask %d", i, s.ask.Number)
			s.table.Failed(m.id, true, m.age)
			s.ask = nil
		}
	case 5:
		m.send(m.lessor.Recall(m.id, func(int) bool { return true }, m.age))
	case 6:
		m.deliverRecall(i, s, lose)
	case 7:
		m.deliverReturn(i, s, lose)
	case 8:
		if m.r.IntN(20) == 0 {
			m.age += leaseIdle
		}
		_, calls := m.lessor.Sweep(Sight[int]{Owned: func(int) bool { return true }, Known: func(int) bool { return true },
			Leaving: func(int) bool { return false }, Reached: func(int) bool { return true }}, m.age, m.now())
		m.send(calls)
	}
}

func (m *room) takeAt(s *side, cost int64) {
	d, ok, ask := s.table.Take(m.id, &m.lim, cost, m.age, 0)
	if ok && d.Allowed {
		m.spent += cost
		m.note("spend %d", cost)
	}
	if ask.Want > 0 {
		m.note("ask %d", ask.Number)
		s.ask, s.began = &wire.Lease{ID: m.id, Limit: m.lim, Want: ask.Want, Number: ask.Number}, m.age
		s.asks = append(s.asks, s.ask)
	}
}

func (m *room) deliverAsk(i int, s *side, lose bool) {
	if len(s.asks) == 0 {
		return
	}
	c := s.asks[0]
	if s.asks = s.asks[1:]; lose {
		return
	}
	m.lessor.Grant(m.ledger, c, i, len(m.lessees)+1, m.age, m.now())
	m.note("grant %d: %d", c.Number, c.Slice)
	s.answers = append(s.answers, c)
}

func (m *room) deliverAnswer(s *side, lose bool) {
	if len(s.answers) == 0 {
		return
	}
	c := s.answers[0]
	if s.answers = s.answers[1:]; lose || s.ask != c {
		return // the caller has given it up
	}
	m.note("heard %d: %d", c.Number, c.Slice)
	s.table.Heard(c, lessorName, s.began, m.age)
	s.ask = nil
}

func (m *room) send(calls []Call[int]) {
	for _, c := range calls {
		m.note("recall %d of %d", c.Number, c.To)
		s := m.lessees[c.To]
		s.recall = &c
		s.recalls = append(s.recalls, s.recall)
	}
}

func (m *room) deliverRecall(i int, s *side, lose bool) {
	switch {
	case len(s.parked) > 0 && m.r.IntN(2) == 0:
		p := s.parked[0]
		s.parked = s.parked[1:]
		m.recalled(s, p.call, true) // it is over, or has taken too long
	case len(s.recalls) > 0:
		c := s.recalls[0]
		if s.recalls = s.recalls[1:]; !lose {
			m.recalled(s, c, false)
		}
	}
	if s.recall != nil && lose {
		m.note("the recall %d of %d gets no answer", s.recall.Number, i)
		m.lessor.Unanswered(*s.recall)
		s.recall = nil
	}
}

func (m *room) recalled(s *side, c *Call[int], force bool) {
	w := wire.Recall{ID: m.id, Number: c.Number}
	if wait := s.table.Recall(&w, lessorName, m.age, force); wait != nil {
		s.parked = append(s.parked, parked{c, wait})
		return
	}
	m.note("recalled %d: %d, lost %v", c.Number, w.Left, w.Lost)
	s.returns = append(s.returns, returned{c, w.Left, w.Lost})
}

func (m *room) deliverReturn(i int, s *side, lose bool) {
	if len(s.returns) == 0 {
		return
	}
	x := s.returns[0]
	if s.returns = s.returns[1:]; lose || s.recall != x.call {
		return
	}
	m.note("%d returns %d, lost %v", i, x.left, x.lost)
	m.lessor.Returned(m.ledger, *x.call, x.left, x.lost, m.now())
	s.recall = nil
}

// quiet says whether nothing is under way.
func (m *room) quiet() bool {
	for _, s := range m.lessees {
		if s.ask != nil || len(s.asks)+len(s.answers)+len(s.recalls)+len(s.parked)+len(s.returns) > 0 || s.recall != nil {
			return false
		}
	}
	return m.lessor.Leased() == 0
}

// settle lets all calls end and everything come back: takes end, and what was lost is given
// up by who waits for it.
func (m *room) settle(t *testing.T, what string) {
	for range 10_000 {
		if m.quiet() {
			return
		}
		for i, s := range m.lessees {
			m.deliverAsk(i, s, false)
			m.deliverAnswer(s, false)
			if s.ask != nil && len(s.asks)+len(s.answers) == 0 {
				s.table.Failed(m.id, true, m.age)
				s.ask = nil
			}
			m.deliverRecall(i, s, false)
			m.deliverReturn(i, s, false)
			if s.recall != nil && len(s.recalls)+len(s.parked)+len(s.returns) == 0 {
				m.lessor.Unanswered(*s.recall)
				s.recall = nil
			}
		}
		m.age += leaseIdle
		_, calls := m.lessor.Sweep(Sight[int]{Owned: func(int) bool { return true }, Known: func(int) bool { return true },
			Leaving: func(int) bool { return false }, Reached: func(int) bool { return true }}, m.age, m.now())
		m.send(calls)
	}
	require.Fail(t, "what is leased does not come back", "%s\n%v", what, m.trace)
}

// Whatever gets lost, and whoever gives up waiting: never more is spent than the budget, and
// in the end, when messages come through again, all of it can be.
func TestNothingIsSpentTwiceOrLost(t *testing.T) {
	l, tables := ledger.NewLedger(lessorName, 1<<20), []*Table{NewTable(), NewTable()}
	for seed := range uint64(5000) {
		m := newRoom(seed, l, tables)
		what := fmt.Sprintf("seed %d, %v of %d", seed, m.lim.Algorithm, m.lim.Quota)
		for range 300 {
			m.step(true)
			if m.spent > m.lim.Quota {
				require.Fail(t, "more was spent than there is", "%s: %d\n%v", what, m.spent, m.trace)
			}
		}
		m.settle(t, what)
		for m.take(1) {
		}
		require.Equal(t, m.lim.Quota, m.spent, "%s\n%v", what, m.trace)
	}
}
