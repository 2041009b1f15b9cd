package cluster

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClockSlewsAndSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.init(time.Now)
		begin := c.now()
		time.Sleep(time.Second)
		require.Equal(t, int64(time.Second), c.now()-begin, "cluster time runs as fast as the clock")

		require.Equal(t, 5*time.Millisecond, c.aim(c.now()+int64(5*time.Millisecond)-int64(c.age())))
		before := c.now()
		c.slew(100 * time.Millisecond)
		require.Equal(t, int64(time.Millisecond), c.now()-before, "a hundredth of what passed")
		for range 10 {
			c.slew(100 * time.Millisecond)
		}
		require.Equal(t, int64(5*time.Millisecond), c.now()-before, "and no further than the target")

		c.aim(c.now() - int64(time.Hour) - int64(c.age()))
		require.Equal(t, -time.Hour, c.step())
		require.Zero(t, c.step(), "once")
	})
}

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

func TestReferenceIsTheLongestLived(t *testing.T) {
	n := &Node{cfg: Config{Name: "m"}}
	lived := func(name string, bornAgo time.Duration) *peer {
		p := &peer{name: name}
		p.bornAt.Store(int64(-bornAgo) | 1)
		return p
	}
	a, b, z := lived("a", -time.Minute), lived("b", time.Hour), lived("z", time.Hour+10*time.Millisecond)
	require.Nil(t, n.reference(&view{all: nil}))
	require.Nil(t, n.reference(&view{all: []*peer{a}}), "a is younger than we are")
	require.Equal(t, b, n.reference(&view{all: []*peer{a, b, z}}), "as old as z, and first by name")
	b.down.Store(true)
	require.Equal(t, z, n.reference(&view{all: []*peer{a, b, z}}))
	z.bornAt.Store(0)
	require.Nil(t, n.reference(&view{all: []*peer{a, b, z}}), "not known yet")
	require.Nil(t, n.reference(&view{all: []*peer{lived("z", 10*time.Millisecond)}}), "as old as we are, and after us by name")
}
