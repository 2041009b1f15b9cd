package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

// sized are rows that differ in a number.
func sized(format string, numbers ...int) (rows []string, number map[string]int) {
	number = map[string]int{}
	for _, n := range numbers {
		row := fmt.Sprintf(format, report.Count.Format(float64(n)))
		rows, number[row] = append(rows, row), n
	}
	return rows, number
}

// scaling: takes per second of a cluster that grows on a machine that does not.
func scaling() experiment {
	rows, nodes := sized("nodes: %s", 1, 2, 4, 8)
	return experiment{
		name: "scaling", rows: rows, rounds: 3,
		run: func(ctx context.Context, p pace, row string) (cells, error) { return runScaling(ctx, p, nodes[row]) },
		tables: []report.Table{{
			Title: "How cost grows: nodes on one machine",
			Note: "Each node is a process; 256 callers in all, each at one of the nodes, take from 10,000 keys at random, whoever\n" +
				"owns them. All share the cores of this machine, so the cost of a take is what tells, not the sum.",
			Columns: []report.Column{
				{Name: "takes", Key: "rate", Unit: report.PerSecond, Ratio: true},
				{Name: "CPU per million takes", Key: "cpu", Unit: report.Seconds, Ratio: true},
				{Name: "takes per core used", Key: "percore", Unit: report.PerSecond},
				{Name: "p99", Unit: report.Nanoseconds},
			},
		}},
	}
}

func runScaling(ctx context.Context, p pace, nodes int) (cells, error) {
	e, err := gather(ctx, contend.Weir, nodes)
	if err != nil {
		return nil, err
	}
	defer e.close()
	if err := e.choose(keyChoice{Prefix: "user", Count: forwardedKeys}); err != nil {
		return nil, err
	}
	a := loadArgs{Callers: 256 / nodes, For: pick(p, 300*time.Millisecond, 100*time.Millisecond), Budget: contend.Ample}
	if _, err := e.together(a); err != nil {
		return nil, err
	}
	before, err := e.cpu()
	if err != nil {
		return nil, err
	}
	a.For = pick(p, 1500*time.Millisecond, 200*time.Millisecond)
	r, err := e.together(a)
	if err != nil {
		return nil, err
	}
	after, err := e.cpu()
	if err != nil {
		return nil, err
	}
	each := (after - before).Seconds() / float64(max(r.Takes, 1))
	return cells{"rate": r.Rate, "cpu": each * 1e6, "percore": 1 / each, "p99": float64(r.P99)}, r.err()
}

// growth: what more keys cost.
func growth() experiment {
	rows, keys := sized("keys: %s", 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
	return experiment{
		name: "growth", rows: rows, rounds: 1,
		run: func(ctx context.Context, _ pace, row string) (cells, error) {
			r, err := inChild[growthResult](ctx, "growth", keys[row])
			c := cells{"bytes": r.BytesPerKey, "gc": float64(r.GC),
				"mean": r.Grow.Mean, "p9999": float64(r.Grow.P9999), "longest": float64(r.Grow.Longest),
				"again": float64(r.Again.P9999), "againlongest": float64(r.Again.Longest)}
			if r.Grow.CPU > 0 {
				c["cpu"], c["againcpu"] = float64(r.Grow.CPU), float64(r.Again.CPU)
			}
			return c, err
		},
		tables: []report.Table{{
			Title: "How cost grows: keys in one process",
			Note: "One take from each of so many keys, one after the other, each timed, while the tables grow; then one more from\n" +
				"each, when nothing grows: what is long there as well is the operating system's and the garbage of the keys.\n" +
				"Times are of the wall and include two clock readings; the longest also in CPU time of its thread, without the\n" +
				"time in which something else had the core.",
			Columns: []report.Column{
				{Name: "bytes per key", Key: "bytes", Unit: report.Bytes},
				{Name: "mean take", Key: "mean", Unit: report.Nanoseconds},
				{Name: "p99.99", Key: "p9999", Unit: report.Nanoseconds},
				{Name: "longest", Unit: report.Nanoseconds},
				{Name: "in CPU time", Key: "cpu", Unit: report.Nanoseconds},
				{Name: "again: p99.99", Key: "again", Unit: report.Nanoseconds},
				{Name: "longest", Key: "againlongest", Unit: report.Nanoseconds},
				{Name: "in CPU time", Key: "againcpu", Unit: report.Nanoseconds},
				{Name: "one GC", Key: "gc", Unit: report.Nanoseconds},
			},
		}},
	}
}

// ringChange: what it costs a node when another joins.
func ringChange() experiment {
	rows, members := sized("nodes: %s, and one more", 3, 10, 30, 100)
	return experiment{
		name: "ring", rows: rows, rounds: 3,
		run: func(ctx context.Context, _ pace, row string) (cells, error) {
			r, err := inChild[ringResult](ctx, "ring", members[row])
			return cells{"table": float64(r.Table), "successors": float64(r.Successors), "moved": r.Moved, "fair": r.Fair, "slowest": float64(r.Slowest),
				"longest": float64(r.Longest), "p9999": float64(r.P9999)}, err
		},
		tables: []report.Table{{
			Title: "How cost grows: a change of the ring",
			Note: "Placing all partitions, then finding every successor, one look-up after the other, while another goroutine takes\n" +
				"locally without a pause. A look-up builds the ring without the owner when that is first needed, so a take that\n" +
				"finds an owner gone can wait as long as the slowest.\n" +
				"The table is built aside and swapped in, so what takes see of it is the machine being busy.",
			Columns: []report.Column{
				{Name: "table", Unit: report.Nanoseconds},
				{Name: "successors", Unit: report.Nanoseconds},
				{Name: "slowest look-up", Key: "slowest", Unit: report.Nanoseconds},
				{Name: "partitions moved", Key: "moved", Unit: report.Share},
				{Name: "a fair share", Key: "fair", Unit: report.Share},
				{Name: "take meanwhile, p99.99", Key: "p9999", Unit: report.Nanoseconds},
				{Name: "longest", Unit: report.Nanoseconds},
			},
		}},
	}
}

// shipping: what a copy of a changed key costs the network.
func shipping() experiment {
	const tls, plain = "with a secret (TLS)", "without a secret"
	return experiment{
		name: "shipping", rows: []string{tls, plain}, rounds: 3,
		run: func(ctx context.Context, p pace, row string) (cells, error) {
			a := shippingArgs{Secret: row == tls, Keys: pick(p, 20_000, 2_000)}
			r, err := inChild[shippingResult](ctx, "shipping", a)
			return cells{"bytes": r.BytesPerKey, "shipped": float64(r.Shipped) / float64(a.Keys)}, err
		},
		tables: []report.Table{{
			Title: "How cost grows: copies on the wire",
			Note: "Bytes that two nodes write to their connections, both ways, per key that changed since the last flush. However\n" +
				"often a key changes between two flushes (100 ms), it is shipped once.",
			Columns: []report.Column{
				{Name: "bytes per changed key", Key: "bytes", Unit: report.Bytes},
				{Name: "copies per changed key", Key: "shipped", Unit: report.Exact},
			},
		}},
	}
}
