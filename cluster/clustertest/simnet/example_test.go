package simnet_test

import (
	"context"
	"fmt"
	"io"

	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// Two hosts, one stream, and the end of one process. Inside synctest.Test the same
// code runs in virtual time.
func Example() {
	ctx := context.Background()
	n := simnet.New(simnet.Options{Seed: 1})
	a, b := n.Host("a", "10.0.0.1"), n.Host("b", "10.0.0.2")
	defer a.Kill()

	streams, _, _ := b.Listen(ctx, "10.0.0.2:7946")
	near, _ := a.Dial(ctx, "10.0.0.2:7946")
	far, _ := streams.Accept()

	n.Cut("b", "a") // one way: what a says still arrives
	_, _ = near.Write([]byte("hello"))
	got := make([]byte, 5)
	_, _ = io.ReadFull(far, got)
	fmt.Println(string(got))

	n.Heal()
	b.Kill()
	_, err := near.Read(got)
	fmt.Println(err)
	_, err = a.Dial(ctx, "10.0.0.2:7946")
	fmt.Println(err)
	// Output:
	// hello
	// read tcp 10.0.0.1:40000->10.0.0.2:7946: read: connection reset by peer
	// dial tcp 10.0.0.2:7946: connect: connection refused
}
