package ctime

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// moved is slots that note by how much they were moved.
type moved time.Duration

func (m *moved) Step(d time.Duration) { *m += moved(d) }

func TestSlewsAndSteps(t *testing.T) {
	var c Clock
	var slots moved
	c.Begin(int64(time.Hour))
	begin := c.At(0)
	require.Equal(t, int64(time.Second), c.At(time.Second)-begin, "cluster time runs as fast as the node ages")

	require.False(t, c.Follow(Reading{Want: begin + int64(5*ms)}))
	require.Equal(t, 5*ms, c.Error())
	before := c.At(0)
	c.Slew(100 * ms)
	require.Equal(t, int64(ms), c.At(0)-before, "a hundredth of what passed")
	c.Slew(-time.Hour)
	require.Equal(t, int64(ms), c.At(0)-before, "no time passes backwards")
	for range 10 {
		c.Slew(100 * ms)
	}
	require.Equal(t, int64(5*ms), c.At(0)-before, "and no further than the target")
	require.Zero(t, slots)

	own := c.Own(0)
	require.True(t, c.Follow(Reading{Want: c.At(0) - int64(time.Hour)}))
	require.Equal(t, -time.Hour, c.Step(&slots))
	require.Zero(t, c.Step(&slots), "once")
	require.Equal(t, own, c.Own(0), "what is kept in own time need not be moved")
	require.EqualValues(t, -time.Hour, c.Ahead())
	require.EqualValues(t, -time.Hour, slots, "the slots have moved with it")
}

// A clock that follows nobody any more stays where it is, and not where it was to go.
func TestRest(t *testing.T) {
	var c Clock
	var slots moved
	c.Begin(int64(time.Hour))
	begin := c.At(0)
	c.Follow(Reading{Want: begin + int64(200*ms), Trip: time.Second})
	c.Slew(time.Second)
	require.Equal(t, int64(10*ms), c.At(0)-begin)
	c.Rest()
	require.Zero(t, c.Error())
	c.Slew(time.Minute)
	require.Zero(t, c.Step(&slots))
	require.Equal(t, int64(10*ms), c.At(0)-begin)
	c.Follow(Reading{Want: begin})
	require.Equal(t, -10*ms, c.Error())
}

// What is certainly wrong is stepped, what may be the wire is not.
func TestWhatIsStepped(t *testing.T) {
	for _, x := range []struct {
		off, trip time.Duration
		step      bool
	}{
		{0, 0, false}, {249 * ms, 0, false}, {250 * ms, 0, true}, {-250 * ms, 0, true}, {-249 * ms, 0, false},
		{349 * ms, 200 * ms, false}, {-349 * ms, 200 * ms, false}, {350 * ms, 200 * ms, true}, {time.Hour, time.Second, true},
	} {
		var c Clock
		var p Peer
		r := Reading{Want: int64(x.off), Trip: x.trip}
		require.True(t, p.Ask())
		require.False(t, p.Ask(), "one at a time")
		p.Heard(r, &c)
		require.Equal(t, !x.step, p.Agreed(), "%+v", x)
		require.Equal(t, x.step, c.Follow(r), "%+v", x)
		require.Equal(t, x.trip, p.Unsure())
		require.True(t, p.Ask())
		p.Unheard()
		require.True(t, p.Ask())
	}
}

// A reading lies in the middle of its call.
func TestRead(t *testing.T) {
	r := Read(10*time.Second, 10*time.Second+40*ms, time.Hour, int64(5*time.Hour))
	require.Equal(t, Reading{Want: int64(5*time.Hour - 10*time.Second - 20*ms), Born: 10*time.Second + 20*ms - time.Hour,
		At: 10*time.Second + 20*ms, Trip: 40 * ms}, r)
}

// The reading with the shortest round trip counts, until it is so old that a slow new one
// says more; one that contradicts it ends its time.
func TestBestReading(t *testing.T) {
	var rs readings
	add := func(at, trip, want time.Duration) Reading {
		return rs.add(Reading{Want: int64(want), At: at, Trip: trip})
	}
	require.Equal(t, 400*ms, add(0, 400*ms, 150*ms).Trip)
	require.Equal(t, 20*ms, add(3*time.Second, 20*ms, 0).Trip)
	require.Equal(t, 20*ms, add(6*time.Second, 400*ms, -150*ms).Trip, "the best of the last ones")
	require.Equal(t, 30*ms, add(9*time.Second, 30*ms, 2*ms).Trip, "not quite as good, but newer")
	for i := range 7 {
		add(time.Duration(12+3*i)*time.Second, 400*ms, 100*ms)
	}
	require.Equal(t, 400*ms, add(33*time.Second, 400*ms, 100*ms).Trip, "too old")
	require.EqualValues(t, time.Hour, add(36*time.Second, 400*ms, time.Hour).Want, "a clock has jumped")
	require.Equal(t, 400*ms, add(39*time.Second, 500*ms, time.Hour).Trip, "of those since then")
}

// A life that is not as long as it was says that a clock has jumped.
func TestJumps(t *testing.T) {
	for _, x := range []struct {
		off    time.Duration
		jumped bool
	}{{0, false}, {99 * ms, false}, {-99 * ms, false}, {102 * ms, true}, {-102 * ms, true}, {time.Hour, true}} {
		var c Clock
		var p Peer
		_, known := p.Born()
		require.False(t, known)
		_, jumped := p.Heard(Reading{Born: -time.Minute}, &c)
		require.False(t, jumped, "the first reading")
		_, jumped = p.Heard(Reading{Born: -time.Minute + x.off}, &c)
		require.Equal(t, x.jumped, jumped, "%v", x.off)
		born, known := p.Born()
		require.True(t, known)
		require.InDelta(t, int64(-time.Minute+x.off), int64(born), 1)
		require.True(t, p.Agreed())
		p.Doubt()
		require.False(t, p.Agreed())
	}
}

// A frame may be late, but not early, by more than what is not known.
func TestNear(t *testing.T) {
	const late = 2 * time.Second
	for off, want := range map[time.Duration]bool{
		0: true, -249 * ms: true, -250 * ms: false, 2249 * ms: true, 2250 * ms: false, time.Hour: false, -time.Hour: false} {
		require.Equal(t, want, Near(off, 0, late), "%v", off)
	}
	require.True(t, Near(-300*ms, 100*ms, late))
	require.False(t, Near(-350*ms, 100*ms, late))
}

func TestReferenceIsTheLongestLived(t *testing.T) {
	young, b, z := Life{"a", time.Minute}, Life{"b", -time.Hour}, Life{"z", -time.Hour - 10*ms}
	for _, c := range []struct {
		says   string
		others []Life
		want   int
	}{
		{"nobody else is there", nil, -1},
		{"younger than we are", []Life{young}, -1},
		{"as old as z, and first by name", []Life{young, b, z}, 1},
		{"whatever the order", []Life{z, b, young}, 1},
		{"b cannot be reached", []Life{young, z}, 1},
		{"as old as we are, and after us by name", []Life{{"z", -10 * ms}}, -1},
		{"as old as we are, and before us by name", []Life{{"a", 10 * ms}}, 0},
	} {
		var voices []Voice
		for _, l := range c.others {
			voices = append(voices, Voice{Life: l})
		}
		ref, _ := Elect("m", voices)
		require.Equal(t, c.want, ref, c.says)
	}
}

// Nodes whose clocks drift, over wires of uneven delays, ask each other every three seconds
// and follow the longest-lived: their times come to differ by no more than a round trip and a
// little drift, and the slots have gone with every step.
func TestNodesAgree(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		agree(t, r, fmt.Sprint("seed ", seed))
	}
}

func agree(t *testing.T, r *rand.Rand, what string) {
	const period, drift = 3 * time.Second, 200e-6 // 200 ppm
	type node struct {
		c     Clock
		slots moved
		born  time.Duration // in true time
		rate  float64
		peers []Peer
	}
	trip := time.Duration(1+r.IntN(400)) * ms
	nodes := make([]*node, 2+r.IntN(4))
	for i := range nodes {
		n := &node{born: -time.Duration(r.Int64N(int64(time.Hour))), rate: 1 + drift*(2*r.Float64()-1), peers: make([]Peer, len(nodes))}
		n.c.Begin(r.Int64N(int64(24 * time.Hour))) // clusters of their own so far
		nodes[i] = n
	}
	age := func(n *node, now time.Duration) time.Duration { return time.Duration(float64(now-n.born) * n.rate) }
	for now := period; now < 200*period; now += period {
		for i, n := range nodes {
			var voices []Voice
			var of []int
			best := make([]Reading, len(nodes))
			for j, p := range nodes {
				if i == j {
					continue
				}
				there := time.Duration(r.Int64N(int64(trip))) // on the way there; the rest is the way back
				at := now + there
				took := trip
				reading := Read(age(n, now), age(n, now+took), age(p, at), p.c.At(age(p, at)))
				require.True(t, n.peers[j].Ask())
				best[j], _ = n.peers[j].Heard(reading, &n.c)
				if v, ok := n.peers[j].Voice(fmt.Sprint(j), &n.c, age(n, now)); ok {
					voices, of = append(voices, v), append(of, j)
				}
			}
			if k, _ := Elect(fmt.Sprint(i), voices); k >= 0 && n.c.Follow(best[of[k]]) {
				n.c.Step(&n.slots)
			}
			n.c.Slew(period)
		}
	}
	end := 200 * period
	times := []int64{}
	for _, n := range nodes {
		times = append(times, n.c.At(age(n, end)))
		require.EqualValues(t, n.c.Ahead(), n.slots, "%s: slots that moved otherwise", what)
	}
	slices.Sort(times)
	bound := trip + 20*ms // one is wrong by half of it, another by the other half
	require.LessOrEqual(t, time.Duration(times[len(times)-1]-times[0]), bound, "%s: round trip %v", what, trip)
}
