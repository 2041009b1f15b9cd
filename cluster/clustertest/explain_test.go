package clustertest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// Every node explains a budget in the same words, and takes nothing from it; after a change of the
// holder it names the new one, of a later term.
func TestExplain(t *testing.T) {
	for _, l := range resetLimits {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, 3, Options{})
			explain := func(i int, key string) cluster.Explanation {
				e, err := c.Node(i).Explain(t.Context(), key, l)
				require.NoError(t, err)
				return e
			}
			for _, k := range keys {
				require.Equal(t, 30, spend(t, c, k, l, 30))
				first := explain(0, k)
				for i := range 3 {
					e := explain(i, k)
					assert.EqualValues(t, l.Quota-30, e.Decision.Remaining)
					assert.Equal(t, first.Holder, e.Holder)
					assert.Equal(t, first.Owner, e.Holder, "the owner holds")
					assert.Equal(t, first.Copies, e.Copies)
					assert.Len(t, e.Copies, 1)
					assert.Equal(t, first.Term, e.Term)
					assert.Equal(t, []cluster.Counted{{Node: e.Holder, Taken: 30}}, e.Counts, "%v on node %d", l, i)
				}
			}
			before := explain(1, keys[0])
			gone := slices.IndexFunc(c.Running(), func(i int) bool { return c.Node(i).Name() == before.Holder })
			require.NoError(t, c.Leave(gone))
			c.Settle()
			e := explain((gone+1)%3, keys[0])
			assert.NotEqual(t, before.Holder, e.Holder)
			assert.Greater(t, e.Term, before.Term)
			assert.EqualValues(t, l.Quota-30, e.Decision.Remaining)
			require.Len(t, e.Counts, 1)
			assert.EqualValues(t, 30, e.Counts[0].Taken, "by a process that is not seen any more")
			assert.Empty(t, e.Counts[0].Node)
		})
	}
}

// What is leased, and what is remembered, is told.
func TestExplainLeasesAndDenials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		lease(t, c, leased)
		out, here := 0, 0
		for i := range 3 {
			for _, k := range keys {
				e, err := c.Node(i).Explain(t.Context(), k, leased)
				require.NoError(t, err)
				if e.Here > 0 {
					here++
					assert.NotEqual(t, c.Node(i).Name(), e.Holder)
				}
				out += len(e.Leases)
				for _, x := range e.Leases {
					assert.NotEqual(t, e.Holder, x.Node)
					assert.Positive(t, x.Slice)
				}
			}
		}
		assert.Positive(t, here)
		assert.Positive(t, out)

		l := limiter.Limit{Quota: 3, Window: time.Hour, Lease: limiter.LeaseOff}
		spend(t, c, "a", l, 9)
		remembered := 0
		for i := range 3 {
			e, err := c.Node(i).Explain(t.Context(), "a", l)
			require.NoError(t, err)
			if e.Denied > 0 {
				remembered++
			}
		}
		assert.Equal(t, 2, remembered, "by those that do not hold it")
	})
}

// Where the holder does not answer, a node tells what it knows itself.
func TestExplainWithoutTheHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 3, Options{})
		l := resetLimits[0]
		for _, k := range keys {
			spend(t, c, k, l, 30)
		}
		time.Sleep(time.Second)
		c.Kill(0)
		for i := 1; i < 3; i++ {
			for _, k := range keys {
				e, err := c.Node(i).Explain(t.Context(), k, l)
				require.NoError(t, err)
				assert.EqualValues(t, l.Quota-30, e.Decision.Remaining)
			}
		}
	})
}

// The members of a cluster are told by every one of them, with what each of them is.
func TestMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 4, Options{})
		states := func(i int) (names, states []string) {
			sum := 0
			for _, m := range c.Node(i).Members() {
				names, states = append(names, m.Name), append(states, m.State)
				assert.Equal(t, m.Name == c.Node(i).Name(), m.Self)
				assert.NotEmpty(t, m.Addr)
				sum += m.Partitions
				if m.State == "living" {
					assert.Positive(t, m.Age, m.Name)
					assert.True(t, m.SameTime)
				}
			}
			assert.Equal(t, cluster.Partitions, sum)
			return names, states
		}
		time.Sleep(10 * time.Second)
		for i := range 4 {
			names, all := states(i)
			assert.True(t, slices.IsSorted(names))
			assert.Equal(t, []string{"living", "living", "living", "living"}, all)
		}
		require.NoError(t, c.Leave(3))
		c.Kill(2)
		time.Sleep(20 * time.Second)
		_, all := states(0)
		assert.Equal(t, []string{"living", "living", "missing", "left"}, all)
		time.Sleep(2 * time.Minute)
		_, all = states(0)
		assert.Equal(t, []string{"living", "living"}, all)
	})
}
