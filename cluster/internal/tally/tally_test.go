package tally

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/internal/ledger"
)

// A tally is a map that forgets what is old. Whatever it still has room for it knows.
func TestTallyIsAMap(t *testing.T) {
	for seed := range uint64(5) {
		s, r, age := New(), rand.New(rand.NewPCG(seed, 1)), time.Duration(0)
		y, want, top, low := s.Of(7, 0), map[uint64]Fate{}, uint64(0), uint64(0)
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
				require.Equal(t, want[number], y.At(number), "number %d of %d", number, top)
			} else if got := y.At(number); got != Uncounted {
				require.Equal(t, want[number], got, "it had room again when it grew")
			}
			f, span := Fate(r.IntN(4)), y.span()
			y.Set(number, f, age)
			want[number], top = f, max(top, number)
			low = max(low, top-min(top, span-1))
			require.Equal(t, top, y.top)
		}
		require.Greater(t, len(y.ring), ringMin, "it has grown with the rate")
	}
}

// It spans what a request can live, at any rate, and no more memory than that takes.
func TestTallySpansALife(t *testing.T) {
	for _, perSecond := range []uint64{10, 1000, 100_000} {
		s := New()
		y, age := s.Of(1, 0), time.Duration(0)
		every := time.Second / time.Duration(perSecond)
		for n := uint64(1); age < 60*time.Second; n++ {
			age += every
			y.Set(n, Once, age)
		}
		life := uint64(numberLife/time.Second) * perSecond
		require.Equal(t, Once, y.At(y.top-life/2+1), "%d a second", perSecond)
		require.LessOrEqual(t, y.span(), max(4*life, ringMin*perWord))
	}
}

func TestTalliesAreBounded(t *testing.T) {
	s := New()
	for o := range ledger.Origin(3 * askersMax) {
		s.Of(o, time.Duration(o))
	}
	require.Len(t, s.by, askersMax)
	require.EqualValues(t, askersMax*ringMin, s.words.Load())
	require.NotNil(t, s.by[3*askersMax-1], "who asked last")
	y := s.Of(1, time.Hour)
	for n := uint64(1); n < 1<<40; n *= 2 { // numbers from outside may be any
		y.Set(n, Once, time.Hour)
	}
	y.Set(1<<63, Undone, time.Hour)
	require.Equal(t, Undone, y.At(1<<63))
	require.Equal(t, Uncounted, y.At(1))
	y.Set(1, Once, time.Hour)
	require.Equal(t, Uncounted, y.At(1), "too old")
	full := New()
	full.words.Store(wordsMost)
	require.False(t, full.more(1))
}

func TestWindowsAreBounded(t *testing.T) {
	x := New().Of(1, 0)
	for number := range uint64(3 * windowsMax) {
		x.SetWindow(number, ledger.Window(number+1))
		require.EqualValues(t, number+1, x.Window(number))
		require.LessOrEqual(t, len(x.windows), windowsMax)
	}
	require.Zero(t, x.Window(1))
}
