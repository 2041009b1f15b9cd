package clustertest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// A node that lives, and is just busy finding out that another one does not, must not
// be taken for dead: budgets that it owns are decided by it, and never degraded.
func TestDeadNodesDegradeNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 5, Options{})
		l := limiter.Per(1000, 24*time.Hour)
		c.Split([]int{0, 4}, []int{1, 2, 3})
		for k := range 40 {
			key := fmt.Sprint("key", k)
			owner := ownerOf(5, key, l)
			for i := 1; i < 4; i++ {
				go func() {
					for range 20 {
						d, err := c.Node(i).Take(t.Context(), key, l, 1)
						if err != nil || d.Degraded && owner != 0 && owner != 4 {
							t.Errorf("key %d of node %d, asked at node %d: %+v %v", k, owner, i, d, err)
							return
						}
						time.Sleep(7 * time.Millisecond)
					}
				}()
			}
		}
		time.Sleep(10 * time.Second)
	})
}

// ownerOf is the owner of a key in a whole cluster of n nodes.
func ownerOf(n int, key string, l limiter.Limit) int { return holderOf(n, 0, key, l) }

// holderOf is the holder of a rank of a key in a whole cluster of n nodes.
func holderOf(n, rank int, key string, l limiter.Limit) (node int) {
	var names []string
	for i := range n {
		names = append(names, name(i))
	}
	table, err := ring.New(names)
	if err != nil {
		panic(err)
	}
	holder := table.Holder(idOf(key, &l).Partition(), rank)
	return slices.Index(names, table.Members()[holder])
}

// ownedBy is a key that a node of a whole cluster of n nodes owns.
func ownedBy(t testing.TB, n, node int, l limiter.Limit) string {
	for k := range 1000 {
		if key := fmt.Sprint("owned", k); ownerOf(n, key, l) == node {
			return key
		}
	}
	require.Fail(t, "no key", "of node %d", node)
	return ""
}
