package clustertest_test

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest"
	"github.com/weir-go/weir/limiter"
)

// Start five nodes, cut two off, send traffic on both sides, heal, and look. In a test
// of your own this is the body of synctest.Test; here the test is started by hand, since
// an example has no *testing.T.
func Example() {
	inBubble(func(t *testing.T) {
		c := clustertest.New(t, 5, clustertest.Options{})
		limit := limiter.Per(1000, 24*time.Hour)
		take := func(node int, cost int64) limiter.Decision {
			d, _ := c.Node(node).Take(t.Context(), "client", limit, cost)
			return d
		}

		c.Split([]int{0, 1, 2}, []int{3, 4})
		time.Sleep(10 * time.Minute)
		fmt.Println(take(0, 100).Remaining, "remain on one side")
		fmt.Println(take(3, 20).Remaining, "remain on the other")

		c.Heal()
		c.Settle()
		for i := range 5 {
			fmt.Println("node", i, "says", take(i, 0).Remaining)
		}
	})
	// Output:
	// 900 remain on one side
	// 980 remain on the other
	// node 0 says 880
	// node 1 says 880
	// node 2 says 880
	// node 3 says 880
	// node 4 says 880
}

// A configuration for each node, a node that is killed, and one that comes to help.
func ExampleOptions() {
	inBubble(func(t *testing.T) {
		c := clustertest.New(t, 3, clustertest.Options{
			Config: func(_ int, cfg *cluster.Config) { cfg.Split = limiter.SplitShare },
		})
		limit := limiter.Per(10, 24*time.Hour)
		for i := range 4 {
			c.Node(i%3).Take(t.Context(), "client", limit, 1)
		}
		time.Sleep(time.Second) // a flush
		c.Kill(0)
		c.Restart(0)
		c.Add()
		c.Settle()
		d, _ := c.Node(3).Take(t.Context(), "client", limit, 0)
		fmt.Println("the new node says", d.Remaining)
	})
	// Output: the new node says 6
}

// inBubble runs a test where there is no *testing.T: quietly and once, whatever go test
// was told, because an example's output is compared.
func inBubble(f func(t *testing.T)) {
	for name, value := range map[string]string{"test.v": "false", "test.count": "1", "test.skip": ""} {
		given := flag.Lookup(name).Value
		was := given.String()
		given.Set(value)
		defer given.Set(was)
	}
	testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{
		{Name: "Example", F: func(t *testing.T) { synctest.Test(t, f) }},
	})
}
