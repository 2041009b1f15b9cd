// Command bench measures weir beside other rate limiters, in one run: local decisions,
// decisions that another process makes, one hot key on three nodes, denied and idle
// ones, and how weir's cost grows.
//
// Run it from this directory, as it is a module of its own, which users of weir do
// not inherit:
//
//	cd bench && go run .            # everything, about a quarter of an hour
//	go run . -short                 # everything, small: a minute or two
//	go run . -only 'forwarded/'     # a part; -list shows the names
//	go run -C bench .               # the same from the root of the repository
//
// One measurement, in order: the program starts itself again, once per process that
// the contender needs (and redis-server, if it is installed); these children find
// their keys, warm up and measure; the program kills them, and goes on to the next
// contender. When all had their turn it begins again. At the end it prints medians
// with their ranges and the ratios to weir as Markdown, and draws a chart.
//
// gubernator v2.13.0 is missing from Go's public checksum database. Its checksum is
// in this module's go.sum, so nothing needs to be set to build or run. Whoever
// changes the requirements sets GONOSUMDB=github.com/gubernator-io/gubernator for the
// go command that does, so that this one module is not looked up there.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A full run begins no measurement of a later round after timeMost. After timeEnd it
// stops where it is, which happens only if contenders hang, and shows what it has.
const (
	timeMost = 13 * time.Minute
	timeEnd  = 15 * time.Minute
)

func main() {
	if os.Getenv(childVariable) != "" {
		if err := serveChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench: child:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is the whole program: results to out, progress to progress.
func bench(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	file := flags.String("out", "", "also write the tables to this `file` (RESULTS.md, say)")
	svg := flags.String("svg", "", "draw throughput and p99 over concurrency into this `file`")
	short := flags.Bool("short", false, "measure for a second or so what else takes a minute: to see that all works")
	only := flags.String("only", "", "measure only what matches this `regexp` of \"experiment/row\"")
	rounds := flags.Int("rounds", 5, "how often each contender has its turn")
	list := flags.Bool("list", false, "list what can be measured")
	grow := flags.Bool("scaling", false, "measure only how weir's cost grows")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen := experiments()
	if *grow {
		chosen = chosen[len(chosen)-scalingExperiments:]
	}
	if *list {
		for _, e := range chosen {
			for _, row := range e.rows {
				fmt.Fprintf(out, "%s/%s\n", e.name, row)
			}
		}
		return nil
	}
	var pattern *regexp.Regexp
	if *only != "" {
		var err error
		if pattern, err = regexp.Compile(*only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
	}
	if *short {
		*rounds = 1
	}
	ctx, cancel := context.WithTimeout(ctx, timeEnd)
	defer cancel()
	r := newRunner(pace{*short}, *rounds, pattern, timeMost, progress)
	r.run(ctx, chosen)
	text, chart := r.report(chosen, *svg, "go run . "+strings.Join(args, " "))
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if err := write(*file, text); err != nil {
		return err
	}
	return write(*svg, chart)
}

// write writes a file, if it has a name and there is something to write.
func write(name, text string) error {
	if name == "" || text == "" {
		return nil
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
