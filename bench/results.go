package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// report writes all that was measured as Markdown, and the chart as SVG; "" where
// nothing was measured that it could show.
func (r *runner) report(experiments []experiment, svg, command string) (text, chart string) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\n`%s` in `bench/`, %s.\n\n", strings.TrimSpace(command), time.Since(r.begun).Round(time.Second))
	fmt.Fprintf(&b, "Machine: %s.\n\nContenders: %s.\n\n", machine(), contenders())
	fmt.Fprintf(&b, "Medians of up to %d rounds, with the range in parentheses; contenders took turns. A ratio is to the first\n"+
		"row of its table. The machine matters, and whatever else ran on it: compare within a run, not between runs.\n\n", r.rounds)
	if r.pace.short {
		b.WriteString("**A short run: it shows that all works. Its numbers are not to be relied on.**\n\n")
	}
	for _, e := range experiments {
		tables := r.tables(e)
		if e.name == "forwarded" && len(tables) > 0 {
			chart = figure(tables, machine()).SVG()
			if svg != "" {
				fmt.Fprintf(&b, "![throughput and p99 over concurrency](%s)\n\n", filepath.Base(svg))
			}
		}
		for _, t := range tables {
			b.WriteString(t.Markdown() + "\n")
		}
	}
	return b.String(), chart
}
