package cluster

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/ctime"
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
