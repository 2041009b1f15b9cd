package clustertest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
)

// What happens to other nodes does not make a healthy one unready: a balancer would take
// it out when it is needed most. A crash, a join, a leave, a rolling restart, and a split.
func TestReadyStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 5, Options{})
		was := map[*cluster.Node]bool{}
		changed := 0 // samples in which partitions were changing hands
		watch := func(d time.Duration, except ...*cluster.Node) {
			t.Helper()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
				pending := 0
				for _, i := range c.Running() {
					n := c.Node(i)
					ready := n.Ready()
					pending += n.Stats().Pending
					if len(except) == 0 || n != except[0] {
						require.False(t, was[n] && !ready, "node %d was ready", i)
					}
					was[n] = ready
				}
				if pending > 0 {
					changed++
				}
			}
		}
		leave := func(i int) {
			n, done := c.Node(i), make(chan error, 1)
			go func() { done <- n.Leave(context.Background()) }()
			watch(5*time.Second, n)
			require.NoError(t, <-done)
			require.False(t, n.Ready(), "after its Leave")
			c.nodes[i] = nil
		}
		watch(time.Second)
		for _, i := range c.Running() {
			require.True(t, c.Node(i).Ready())
		}
		c.Crash(4)
		watch(10 * time.Second)
		c.Restart(4)
		watch(5 * time.Second)
		c.Add()
		watch(5 * time.Second)
		leave(5)
		for i := range 5 {
			leave(i)
			c.Restart(i)
			watch(5 * time.Second)
			require.True(t, c.Node(i).Ready(), "restarted")
		}
		c.Split([]int{0, 1}, []int{2, 3, 4})
		watch(15 * time.Second)
		c.Heal()
		watch(15 * time.Second)
		require.Greater(t, changed, 50, "partitions changed hands while it was watched")
	})
}
