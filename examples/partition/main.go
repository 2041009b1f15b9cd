// Partition shows what a cluster admits while its network is cut in two.
//
// What one run does, in order: it starts three clusters of five nodes in this process,
// one for each split mode, each on a simulated network of its own, in real time; asks
// for three times the quota, at all nodes; cuts three nodes from the other two; heals
// the network; and draws what was admitted, second by second, as an SVG.
//
//	go run ./examples/partition -out partition.svg
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/weir-go/weir/limiter"
)

func main() {
	log.SetFlags(0)
	out := flag.String("out", "partition.svg", "file to write")
	seconds := flag.Int("seconds", 32, "how long to run: the cut comes after a quarter, the heal after three")
	flag.Parse()
	if *seconds < 20 {
		log.Fatal("partition: -seconds must be at least 20: a cut takes some 3 s to be noticed, a heal up to 6")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *seconds); err != nil {
		log.Fatal("partition: ", err)
	}
}

// run runs all modes at once and writes what came of it.
func run(ctx context.Context, out string, seconds int) error {
	modes := []limiter.Split{limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum}
	results := make([]result, len(modes))
	errs := make([]error, len(modes))
	began := time.Now()
	var wg sync.WaitGroup
	for i, mode := range modes {
		wg.Go(func() {
			results[i], errs[i] = split(ctx, mode, seconds, func(what string) {
				log.Printf("%5.1fs  %-6s  %s", time.Since(began).Seconds(), mode, what)
			})
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	printTable(os.Stdout, results)
	if err := os.WriteFile(out, draw(results), 0o644); err != nil {
		return err
	}
	fmt.Println("wrote", out)
	return nil
}

// printTable prints the most that any one second admitted, by what the nodes knew.
func printTable(w io.Writer, results []result) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "\nadmitted in one second, at most\t(quota %d)\t\t\t\n", quota)
	fmt.Fprintln(t, "split\twhole\tcut, not noticed\tcut, noticed\twhole again")
	for _, r := range results {
		whole, unnoticed, noticed, again := r.phases()
		fmt.Fprintf(t, "%v\t%d\t%d\t%d\t%d\n", r.mode, most(whole), most(unnoticed), most(noticed), most(again))
	}
	t.Flush()
}
