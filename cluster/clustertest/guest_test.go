package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// A process that began on one side of a split is news to the other side, when it heals.
// It makes no larger share there before its side has told what it spent.
func TestNewProcessWhileHealing(t *testing.T) {
	t.Parallel()
	const quota = 60
	for _, mode := range []limiter.Split{limiter.SplitShare} {
		for _, how := range []string{"crash", "leave", "expected"} {
			t.Run(mode.String()+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sides := [][]int{{0, 1, 4}, {2, 3}}
					expected := 0
					if how == "expected" { // the fifth was never there before
						sides, expected = [][]int{{0, 1}, {2, 3}}, 5
					}
					c, l, keys := splitForAWindow(t, mode, quota, expected, sides)
					switch how {
					case "crash":
						c.Crash(0)
						time.Sleep(10 * time.Second)
						c.Restart(0)
					case "leave":
						require.NoError(t, c.Leave(0))
						c.Restart(0)
					case "expected":
						sides[0] = append(sides[0], c.Add())
						c.Split(sides...)
					}
					c.Settle(sides[0]...)
					time.Sleep(5 * time.Second) // the side believes in it
					sum := map[string]int{}
					for _, k := range keys[:len(keys)/2] {
						for _, side := range sides {
							sum[k] += spend(t, c, k, l, 2*quota, side...)
						}
						assert.Equal(t, quota, sum[k], "key %s while split", k)
					}
					spendWhileHealing(t, c, keys, l, sum)
				})
			})
		}
	}
}

// Each side of a split gets a node that it did not have before. That makes neither of two
// halves a majority, nor their shares more than the whole; and after the heal both count.
func TestGuestsDoNotCount(t *testing.T) {
	t.Parallel()
	const quota = 60
	for _, mode := range []limiter.Split{limiter.SplitShare, limiter.SplitQuorum} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := []int{0, 1}, []int{2, 3}
				c, l, keys := splitForAWindow(t, mode, quota, 0, [][]int{a, b})
				for _, side := range []*[]int{&a, &b} {
					// It meets its side later than it starts: until then it is alone.
					*side = append(*side, c.Add())
					c.Split(a, b)
					c.Settle(*side...)
				}
				time.Sleep(5 * time.Second)
				sum := map[string]int{}
				for _, k := range keys[:len(keys)/2] {
					for _, side := range [][]int{a, b} {
						got := spend(t, c, k, l, 2*quota, side...)
						if mode == limiter.SplitQuorum {
							assert.Zero(t, got, "key %s on side %v", k, side)
						} else {
							assert.Equal(t, quota/2, got, "key %s on side %v", k, side)
						}
						sum[k] += got
					}
				}
				for _, i := range c.Running() {
					s := c.Node(i).Stats()
					assert.Equal(t, 4, s.Known, "node %d", i)
					assert.Equal(t, 3, s.Live, "node %d", i)
				}
				spendWhileHealing(t, c, keys, l, sum)
				for _, i := range c.Running() {
					assert.Equal(t, 6, c.Node(i).Stats().Known, "node %d", i)
				}
			})
		})
	}
}

// A node learns of those that are missing from the first that it meets, and forgets them
// when that one does.
func TestNewcomerKnowsWhoIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 4, Options{Config: func(_ int, cfg *cluster.Config) { cfg.ForgetAfter = time.Minute }})
		known := func(want int) {
			t.Helper()
			for _, i := range c.Running() {
				assert.Equal(t, want, c.Node(i).Stats().Known, "node %d", i)
			}
		}
		c.Crash(3)
		time.Sleep(20 * time.Second)
		c.Add()
		c.Settle()
		known(4) // without the guest
		time.Sleep(time.Minute)
		known(4) // without the one that is gone
		require.NoError(t, c.Leave(2))
		c.Add()
		c.Settle()
		known(4)
	})
}

// A node that left on one side of a split is not missed by the other side for long after
// the heal: the two compare what they know.
func TestLeftInASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 5, Options{Config: func(_ int, cfg *cluster.Config) { cfg.ForgetAfter = time.Hour }})
		c.Split([]int{0, 1, 4}, []int{2, 3})
		time.Sleep(20 * time.Second)
		require.NoError(t, c.Leave(0))
		c.Heal()
		c.Settle()
		time.Sleep(15 * time.Second) // an exchange between any two
		for _, i := range c.Running() {
			assert.Equal(t, 4, c.Node(i).Stats().Known, "node %d", i)
		}
	})
}
