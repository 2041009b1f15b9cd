// Command weirnode is a node of a cluster and nothing else: what a service that embeds
// weir adds to itself, without the weight of the benchmarks and of other limiters. It
// joins the addresses that it is given, says where it is, and ends with its input.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/weir-go/weir/cluster"
)

func main() {
	n, err := cluster.Start(context.Background(), cluster.Config{
		Secret: []byte("known to everybody who reads this"),
		Join:   os.Args[1:],
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer n.Close()
	fmt.Println(n.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
