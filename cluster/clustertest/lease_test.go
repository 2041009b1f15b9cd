package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// leased is a limit of which every node takes its part.
var leased = limiter.Limit{Quota: 3000, Window: 24 * time.Hour, Lease: limiter.LeaseAlways}

// lease spends some of each key on every node, so that every node leases a part of
// what it does not hold. It returns what was admitted per key.
func lease(t *testing.T, c *Cluster, l limiter.Limit) (each int) {
	t.Helper()
	for range 30 {
		for _, k := range keys {
			require.Equal(t, len(c.Running()), spend(t, c, k, l, len(c.Running())))
		}
		each += len(c.Running())
		time.Sleep(5 * time.Millisecond)
	}
	sum := int64(0)
	for _, i := range c.Running() {
		sum += c.Node(i).Stats().Leased
	}
	require.Greater(t, sum, int64(10*len(keys)), "admitted from leases")
	return each
}

// looks asks every node what remains of each key.
func looks(t *testing.T, c *Cluster, l limiter.Limit) (all []int64) {
	t.Helper()
	for _, i := range c.Running() {
		for _, k := range keys {
			d, err := c.Node(i).Take(t.Context(), k, l, 0)
			require.NoError(t, err)
			all = append(all, d.Remaining)
		}
	}
	return all
}

// What is not spent comes back by itself, and then what remains is exact everywhere.
func TestIdleLeasesComeBack(t *testing.T) {
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			l := leased
			l.Algorithm = a
			each := lease(t, c, l)
			time.Sleep(time.Second)
			for _, i := range c.Running() {
				require.Zero(t, c.Node(i).Stats().LeasedOut)
			}
			for _, got := range looks(t, c, l) {
				require.Equal(t, l.Quota-int64(each), got, "%v", a)
			}
		})
	}
}

// What nodes lease from a holder is called back before another one takes over: joins,
// graceful leaves and restarts cost nothing.
func TestLeasesSurviveHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		spent := lease(t, c, leased)
		c.Add()
		c.Settle()
		spent += lease(t, c, leased)
		for i := range 3 {
			require.NoError(t, c.Leave(i))
			c.Restart(i)
			c.Settle()
			spent += lease(t, c, leased)
		}
		spendAll(t, c, leased, int(leased.Quota), int(leased.Quota)-spent)
	})
}

// A node that dies with leases withholds for the rest of the window what it had, and
// nothing is admitted twice.
func TestLesseeDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		spent := lease(t, c, leased)
		time.Sleep(150 * time.Millisecond) // flushed: it holds some of the keys
		c.Kill(2)
		time.Sleep(10 * time.Second)
		for _, k := range keys {
			more := spend(t, c, k, leased, int(leased.Quota))
			require.LessOrEqual(t, spent+more, int(leased.Quota), "key %s", k)
			// It had asked for no more than twice what it had spent in 100 ms.
			require.GreaterOrEqual(t, spent+more, int(leased.Quota)-100, "key %s", k)
		}
	})
}

// Of what a dead holder had leased to others, these give back what they have not spent
// to who holds it now. What it had handed out since its last flush is the lag.
func TestLessorDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		spent := lease(t, c, leased)
		time.Sleep(150 * time.Millisecond) // flushed, and not yet called back
		c.Kill(1)
		time.Sleep(10 * time.Second)
		for _, k := range keys {
			more := spend(t, c, k, leased, int(leased.Quota))
			require.LessOrEqual(t, spent+more, int(leased.Quota), "key %s", k)
			require.GreaterOrEqual(t, spent+more, int(leased.Quota)-100, "key %s", k)
		}
	})
}

// A node that is cut off spends what it has, which was counted: the other side admits
// only what is left, and after the heal the sum is exact.
func TestLeasesInASplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := leased
		l.Quota = 20_000
		spent := lease(t, c, l)
		c.Split([]int{0, 1}, []int{2})
		for _, k := range keys {
			require.Equal(t, 6, spend(t, c, k, l, 6, 2, 0))
		}
		time.Sleep(20 * time.Second)
		c.Heal()
		c.Settle()
		time.Sleep(2 * time.Second)
		for _, got := range looks(t, c, l) {
			require.InDelta(t, l.Quota-int64(spent+6), got, 3, "one that did not answer in time may have counted as well")
			require.LessOrEqual(t, got, l.Quota-int64(spent+6))
		}
	})
}

// LeaseAuto leases from a rate, LeaseOff never; both admit the budget.
func TestLeaseModes(t *testing.T) {
	for _, x := range []struct {
		mode   limiter.Lease
		gap    time.Duration
		leases bool
	}{
		{limiter.LeaseAuto, 200 * time.Microsecond, true},
		{limiter.LeaseAuto, 10 * time.Millisecond, false},
		{limiter.LeaseOff, 200 * time.Microsecond, false},
		{limiter.LeaseAlways, 10 * time.Millisecond, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 2, Options{})
			l := limiter.Limit{Quota: 2000, Window: time.Hour, Lease: x.mode}
			admitted := 0
			for range 1000 {
				admitted += spend(t, c, "hot", l, 2)
				time.Sleep(x.gap)
			}
			require.Equal(t, 2000, admitted)
			require.Zero(t, spend(t, c, "hot", l, 2))
			require.Equal(t, x.leases, c.Node(0).Stats().Leased+c.Node(1).Stats().Leased > 0, "%v, every %v", x.mode, x.gap)
		})
	}
}

// A denial is remembered where it was asked for, but no refund or new window is missed
// for longer than a second.
func TestRememberedDenials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := limiter.Per(3, 10*time.Second)
		for _, k := range keys {
			for spend(t, c, k, l, 9) < 3 { // of this window
				time.Sleep(time.Second)
			}
			d, err := c.Node(0).Take(t.Context(), k, l, 1)
			require.NoError(t, err)
			require.False(t, d.Allowed)
			if d.RetryAfter > 3*time.Second { // given back on one node
				require.NoError(t, c.Node(1).Give(t.Context(), k, l, 1))
				require.Equal(t, 1, spend(t, c, k, l, 1, 1), "there it is seen at once")
				require.NoError(t, c.Node(1).Give(t.Context(), k, l, 1))
				time.Sleep(time.Second)
				require.Equal(t, 1, spend(t, c, k, l, 3), "elsewhere within a second")
				d, _ = c.Node(0).Take(t.Context(), k, l, 1)
			}
			time.Sleep(d.RetryAfter)
			require.Equal(t, 3, spend(t, c, k, l, 6), "as soon as the window turns")
		}
		remembered := int64(0)
		for i := range 3 {
			remembered += c.Node(i).Stats().Remembered
		}
		require.NotZero(t, remembered)
	})
}
