package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// A cut that comes and goes, faster and slower than gossip notices: answers come in
// time, no side has more than its quota, and in the end the sums meet.
func TestFlappingLink(t *testing.T) {
	for _, every := range []time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second} {
		t.Run(every.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &stage{Cluster: New(t, 5, Options{}), key: "flap", limit: limiter.Per(100, 24*time.Hour),
					held: callEach} // an answer may come when a cut is over, in time
				sum := 0
				for range 10 {
					s.Split([]int{0, 1}, []int{2, 3, 4})
					sum += s.inTime(t, 15)
					time.Sleep(every)
					s.Heal()
					sum += s.inTime(t, 15)
					time.Sleep(every)
				}
				s.Settle()
				time.Sleep(5 * time.Second)
				sum += s.inTime(t, 300)
				s.agree(t)
				assert.GreaterOrEqual(t, sum, 100)
				assert.LessOrEqual(t, sum, 200)
			})
		})
	}
}

// A node's clock jumps by an hour: what is spent stays spent, and the nodes agree on
// the time again.
func TestClockJump(t *testing.T) {
	for jumper := range 3 { // the one whose clock the others follow, and the others
		synctest.Test(t, func(t *testing.T) {
			s := &stage{Cluster: New(t, 3, Options{}), key: "jump", limit: limiter.Per(100, 7*24*time.Hour)}
			require.Equal(t, 60, s.inTime(t, 60))
			time.Sleep(time.Second)
			s.Skew(jumper, time.Hour)
			sum := s.inTime(t, 20)
			time.Sleep(20 * time.Second)
			sum += s.inTime(t, 100)
			assert.Equal(t, 40, sum, "node %d jumped", jumper)
			s.sameReset(t)
			s.agree(t)
		})
	}
}

// Windows end and begin while the cluster is split: each side starts anew, at the same
// moment as the other, and what was spent in the old window is gone everywhere.
func TestWindowTurnsDuringSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{Cluster: New(t, 5, Options{}), key: "turn", limit: limiter.Per(100, time.Minute)}
		one, other := []int{0, 1}, []int{2, 3, 4}
		s.Split(one, other)
		time.Sleep(30 * time.Second)
		for range 3 {
			a, b := s.inTime(t, 120, one...), s.inTime(t, 120, other...)
			assert.Equal(t, []int{100, 100}, []int{a, b}, "each side has its quota in each window")
			s.sameReset(t)
			time.Sleep(time.Minute)
		}
		s.inTime(t, 30, one...)
		s.inTime(t, 40, other...)
		d, _ := s.take(t, 0)
		require.Greater(t, d.ResetAfter, 10*time.Second, "the rest of the test fits into this window")
		s.Heal()
		s.Settle()
		time.Sleep(300 * time.Millisecond)
		d, _ = s.take(t, 0)
		assert.Equal(t, int64(100-30-40-2), d.Remaining, "the sum of this window alone")
		s.agree(t)
	})
}
