package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// costs measures what strangers cost a node that has nothing else to do, in microseconds of its
// CPU, the kernel's part included, for each connection or packet that reached it. The floor is a
// listener that greets and closes.
func (p plan) costs(w io.Writer, modes []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mode\tsources\tconnections\tpackets\tlost\tcores\tµs per connection\tµs per packet\t")
	for _, mode := range append([]string{"floor"}, modes...) {
		for _, sources := range []int{1, sourcesMax} {
			as, with := "node", mode
			if mode == "floor" {
				as, with = "floor", "silent"
			}
			n, err := start(p.victim, as, "a", "", p.callTimeout)
			if err != nil {
				return err
			}
			used, lost := n.cpu(), n.lost()
			got, err := p.flood(with, sources, n.Bind)
			used, lost = n.cpu()-used, n.lost()-lost
			n.end()
			if err != nil {
				return err
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.2f\t%s\t%s\t\n", mode, sources, got.Connections, got.Packets, lost, used.Seconds()/got.Seconds,
				each(used, got.Connections, got.Packets), each(used, got.Packets-lost, got.Connections))
		}
	}
	return t.Flush()
}

// each is a share of time, if there was nothing else.
func each(used time.Duration, n, others int64) string {
	if n == 0 || others > 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(used.Nanoseconds())/1000/float64(n))
}
