package cluster

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

func newTallies() *tallies { return &tallies{by: map[ledger.Origin]*tally{}} }

// A tally is a map that forgets what is old. Whatever it still has room for it knows.
func TestTallyIsAMap(t *testing.T) {
	for seed := range uint64(5) {
		s, r, age := newTallies(), rand.New(rand.NewPCG(seed, 1)), time.Duration(0)
		y, want, top, low := s.of(7, 0), map[uint64]fate{}, uint64(0), uint64(0)
		for range 30_000 {
			age += time.Duration(r.IntN(2000)) * time.Microsecond
			number := top + 1 + uint64(r.IntN(4))
			switch r.IntN(200) {
			case 0:
				number = top + uint64(r.IntN(5000)) // it was busy with others
			case 1, 2, 3, 4:
				number = top - min(top, uint64(r.IntN(3000))) // late, or again
			}
			if number == 0 {
				continue
			}
			if number >= low {
				require.Equal(t, want[number], y.at(number), "number %d of %d", number, top)
			} else if got := y.at(number); got != uncounted {
				require.Equal(t, want[number], got, "it had room again when it grew")
			}
			f, span := fate(r.IntN(4)), y.span()
			y.set(number, f, age, s.more)
			want[number], top = f, max(top, number)
			low = max(low, top-min(top, span-1))
			require.Equal(t, top, y.top)
		}
		require.Greater(t, len(y.ring), tallyMin, "it has grown with the rate")
	}
}

// It spans what a request can live, at any rate, and no more memory than that takes.
func TestTallySpansALife(t *testing.T) {
	for _, perSecond := range []uint64{10, 1000, 100_000} {
		s := newTallies()
		y, age := s.of(1, 0), time.Duration(0)
		every := time.Second / time.Duration(perSecond)
		for n := uint64(1); age < 60*time.Second; n++ {
			age += every
			y.set(n, once, age, s.more)
		}
		life := uint64(numberLife/time.Second) * perSecond
		require.Equal(t, once, y.at(y.top-life/2+1), "%d a second", perSecond)
		require.LessOrEqual(t, y.span(), max(4*life, tallyMin*perWord))
	}
}

func TestTalliesAreBounded(t *testing.T) {
	s := newTallies()
	for o := range ledger.Origin(3 * askersMax) {
		s.of(o, time.Duration(o))
	}
	require.Len(t, s.by, askersMax)
	require.EqualValues(t, askersMax*tallyMin, s.words.Load())
	require.NotNil(t, s.by[3*askersMax-1], "who asked last")
	y := s.of(1, time.Hour)
	for n := uint64(1); n < 1<<40; n *= 2 { // numbers from outside may be any
		y.set(n, once, time.Hour, func(int64) bool { return false })
	}
	y.set(1<<63, undone, time.Hour, s.more)
	require.Equal(t, undone, y.at(1<<63))
	require.Equal(t, uncounted, y.at(1))
	y.set(1, once, time.Hour, s.more)
	require.Equal(t, uncounted, y.at(1), "too old")
	full := newTallies()
	full.words.Store(talliesMost)
	require.False(t, full.more(1))
}

// What a process is asked again it does not count again, and what is taken back is taken
// back once, by whoever may.
func TestCountedOnce(t *testing.T) {
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		n := startNodes(t, 1, nil)[0]
		l := limiter.Limit{Quota: 10, Window: 24 * time.Hour, Algorithm: a}
		id := n.id("key", &l)
		left := func() int64 {
			d, err := n.Take(t.Context(), "key", l, 0)
			require.NoError(t, err)
			return d.Remaining
		}
		take := func(number uint64) (limiter.Decision, *takeCall) {
			c := &takeCall{Take: wire.Take{ID: id, Limit: l, Cost: 3, Number: number, Asker: 5}, tally: n.tallies.of(5, 0)}
			d, ok := n.takeOnce(n.view.Load(), n.awake(), c)
			require.True(t, ok)
			return d, c
		}
		d, c := take(1)
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, left())
		u := wire.Undone{ID: id, Limit: l, Cost: 3, Number: 1, Asker: 5, Window: c.Window}
		require.True(t, n.forget(&u, false), "a node that passed it on")
		require.EqualValues(t, 10, left())
		require.False(t, n.forget(&u, false), "once")
		require.EqualValues(t, 10, left())

		d, _ = take(1) // somebody else passes it on
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, left())
		d, _ = take(1)
		require.True(t, d.Allowed)
		require.EqualValues(t, 7, d.Remaining)
		require.EqualValues(t, 7, left(), "not again")
		require.False(t, n.forget(&u, false), "another node was told, too")
		require.EqualValues(t, 7, left())
		require.True(t, n.forget(&u, true), "the asker knows")
		require.EqualValues(t, 10, left())
		d, _ = take(1)
		require.False(t, d.Allowed, "it was held up, and nobody waits for it")
		require.EqualValues(t, 10, left())

		for number := range uint64(3) {
			d, _ = take(10 + number)
			require.True(t, d.Allowed)
		}
		d, _ = take(20)
		require.False(t, d.Allowed)
		require.Equal(t, uncounted, n.tallies.of(5, 0).at(20), "a denial leaves nothing")
	}
}
