package wait

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWaits(t *testing.T) {
	const ms = time.Millisecond
	repeat := func(n int, d time.Duration) (all []time.Duration) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	for _, c := range []struct {
		name   string
		took   []time.Duration
		least  time.Duration
		far    time.Duration
		want   time.Duration
		steady bool
	}{
		{"nothing is known", nil, 100 * ms, 0, time.Second, false},
		{"nothing is known, and CallTimeout is long", nil, 5 * time.Second, 0, 5 * time.Second, false},
		{"nothing is known of it, but others are near", nil, 100 * ms, ms, 110 * ms, false},
		{"nothing is known of it, but others are far", nil, 100 * ms, 200 * ms, 2 * time.Second, false},
		{"as far as others can be", nil, 100 * ms, time.Second, 2 * time.Second, false},
		{"one answer: its deviation is taken for half of it", []time.Duration{100 * ms}, 100 * ms, 0, 300 * ms, false},
		{"one short answer", []time.Duration{ms}, 100 * ms, 0, 101 * ms, false},
		{"a steady wire waits CallTimeout longer than it is long", repeat(100, 100*ms), 100 * ms, 0, 200 * ms, true},
		{"a steady wire, CallTimeout of 1 ms", repeat(100, 100*ms), ms, 0, 101 * ms, true},
		{"few answers are not steady", repeat(15, ms), 100 * ms, 0, 101 * ms, false},
		{"one long answer", append(repeat(100, ms), 400*ms), 100 * ms, 0, 50*ms + 875*time.Microsecond + 399*ms, false},
		{"at most two seconds", append(repeat(100, ms), 3*time.Second), 100 * ms, 0, 2 * time.Second, false},
		{"or CallTimeout", repeat(100, 30*time.Second), 4 * time.Second, 0, 4 * time.Second, true},
		{"no time at all", repeat(20, 0), 100 * ms, 0, 100 * ms, true},
		{"time put back", repeat(20, -time.Hour), 100 * ms, 0, 100 * ms, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r RoundTrip
			for _, d := range c.took {
				r = r.After(d)
			}
			require.InDelta(t, c.want, r.Wait(c.least, c.far), float64(10*time.Microsecond))
			require.Equal(t, c.steady, r.isSteady(c.least))
		})
	}
	require.Equal(t, 50*ms, Spare(300*ms, 100*ms))
	require.Equal(t, 10*ms, Spare(20*ms, 100*ms), "little is left")
}

// The shortest round trip is the wire's, and what is held up hardly moves it.
func TestShortestRoundTrip(t *testing.T) {
	var r RoundTrip
	for range 100 {
		r = r.After(time.Millisecond)
	}
	r = r.After(time.Second).After(2 * time.Millisecond)
	require.Less(t, r.least, 5*time.Millisecond)
	for range 2000 {
		r = r.After(100 * time.Millisecond)
	}
	require.InDelta(t, 100*time.Millisecond, r.least, float64(time.Millisecond), "a wire may become longer")
}
