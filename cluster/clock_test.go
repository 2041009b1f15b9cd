package cluster

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// A clock that is put back by an hour loses nothing and stops nothing.
func TestClockIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int64
		var c clock
		c.init(func() time.Time { return time.Now().Add(-time.Duration(back.Load())) })
		done := make(chan struct{})
		defer close(done)
		go c.sample(done)
		time.Sleep(time.Minute)
		seen, now := c.refresh(), c.now()
		require.Equal(t, time.Minute, seen)
		back.Store(int64(time.Hour))
		require.Equal(t, seen, c.refresh())
		require.Equal(t, now, c.now())
		time.Sleep(time.Second)
		require.Equal(t, seen+time.Second, c.refresh())
		require.Equal(t, seen+time.Second, c.read())
	})
}

// An operator's clock that blocks holds up those who read it, and nobody who may not block.
func TestClockThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		var mu sync.RWMutex
		gate := make(chan struct{})
		close(gate)
		c.init(func() time.Time {
			mu.RLock()
			g := gate
			mu.RUnlock()
			<-g
			return time.Now().Add(time.Hour)
		})
		done := make(chan struct{})
		go c.sample(done)
		time.Sleep(time.Second)
		require.Equal(t, time.Second, c.refresh())
		mu.Lock()
		gate = make(chan struct{})
		mu.Unlock()
		for i := range 5 { // it goes on from the last reading
			require.Equal(t, time.Second+time.Duration(i+1)*readingMax, c.refresh())
		}
		close(gate)
		close(done)
	})
}

// An answer that took long in one direction alone says that a peer lived longer, and has another time.
// With the next one that is over: the clock does not go on to where it was to go.
func TestBadReadingIsForgotten(t *testing.T) {
	for _, cut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { badReading(t, cut) })
	}
}

func badReading(t *testing.T, cut bool) {
	nw := simnet.New(simnet.Options{Latency: 5 * time.Millisecond})
	nodes, _, _ := startCounted(t, nw, "a", "b")
	time.Sleep(time.Minute)
	a := nodes[0]
	v, begin := a.view.Load(), a.clock.At(0)
	p := v.byName["b"]
	require.Nil(t, a.reference(v), "it lives longest")
	r := ctime.Reading{Want: begin + int64(400*time.Millisecond), Born: -time.Minute, At: a.clock.age() - time.Second, Trip: time.Second}
	require.True(t, p.time.Ask())
	best, _ := p.time.Heard(r, &a.clock.Clock)
	a.heardTime(p, &wire.Time{}, best)
	require.Equal(t, 400*time.Millisecond, a.clock.Error())
	if cut {
		nw.Cut("a", "b")
		nw.Cut("b", "a")
	}
	time.Sleep(time.Minute)
	require.Nil(t, a.reference(a.view.Load()))
	require.Zero(t, a.clock.Error())
	moved := time.Duration(a.clock.At(0) - begin)
	if cut { // until b is given up
		require.LessOrEqual(t, moved, 15*time.Second/100)
	} else {
		require.LessOrEqual(t, moved, (syncPeriod+time.Second)/100)
	}
}

// Of peers that are known and answer, the longest-lived is followed.
func TestReference(t *testing.T) {
	n := &Node{cfg: Config{Name: "m"}}
	n.clock.init(nil)
	lived := func(name string, bornAgo time.Duration) *peer {
		p := &peer{name: name}
		p.time.Heard(ctime.Reading{Born: -bornAgo}, &n.clock.Clock)
		return p
	}
	a, b, z := lived("a", -time.Minute), lived("b", 2*time.Hour), lived("z", time.Hour)
	require.Nil(t, n.reference(&view{}))
	require.Nil(t, n.reference(&view{all: []*peer{a, {name: "c"}}}), "a is younger than we are, and of c nothing is known")
	require.Equal(t, b, n.reference(&view{all: []*peer{a, b, z}}))
	b.down.Store(true)
	require.Equal(t, z, n.reference(&view{all: []*peer{a, b, z}}))
}
