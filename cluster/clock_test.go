package cluster

import (
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

		require.Equal(t, 5*time.Millisecond, c.aim(c.now()+int64(5*time.Millisecond), c.age()))
		before := c.now()
		c.slew(100 * time.Millisecond)
		require.Equal(t, int64(time.Millisecond), c.now()-before, "a hundredth of what passed")
		for range 10 {
			c.slew(100 * time.Millisecond)
		}
		require.Equal(t, int64(5*time.Millisecond), c.now()-before, "and no further than the target")

		c.aim(c.now()-int64(time.Hour), c.age())
		require.Equal(t, -time.Hour, c.step())
		require.Zero(t, c.step(), "once")
	})
}

// A clock that is put back by an hour loses nothing and stops nothing.
func TestClockIsMended(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	var c clock
	c.init(func() time.Time { return wall })
	wall = wall.Add(time.Minute)
	seen, now := c.age(), c.now()
	wall = wall.Add(-time.Hour)
	c.mend(seen)
	require.Equal(t, seen, c.age())
	require.Equal(t, now, c.now())
	wall = wall.Add(time.Second)
	c.mend(seen)
	require.Equal(t, seen+time.Second, c.age())
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
