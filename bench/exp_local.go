package main

import (
	"context"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

// inChild runs one operation in a process of its own.
func inChild[T any](ctx context.Context, op string, args any) (result T, err error) {
	c, err := startChild(ctx)
	if err != nil {
		return result, err
	}
	defer c.close()
	return ask[T](c, op, args)
}

func localNames() (names []string) {
	for _, l := range contend.Locals {
		names = append(names, l.Name)
	}
	return names
}

// localAdmission: whether what is compared does the same, before it is compared.
func localAdmission() experiment {
	return experiment{
		name: "local admission", rows: localNames(), rounds: 1,
		run: func(ctx context.Context, _ pace, row string) (cells, error) {
			a := admissionArgs{Contender: row, Quota: 5000, Keys: 4, Goroutines: 4}
			admitted, err := inChild[int64](ctx, "local admission", a)
			want := a.Quota * int64(a.Keys)
			return cells{"admitted": float64(admitted) / float64(want)}, firstOf(err, exactly(admitted, want))
		},
		tables: []report.Table{{
			Title:   "Admitted, as a multiple of the limit: four keys, four goroutines, three times the traffic",
			Note:    "1 is right.",
			Columns: []report.Column{{Name: "admitted ÷ limit", Key: "admitted", Unit: report.Exact}},
		}},
	}
}

// localHot: what one take costs when everything is in the cache.
func localHot() experiment {
	return experiment{
		name: "local hot", rows: localNames(),
		run: func(ctx context.Context, p pace, row string) (cells, error) {
			r, err := inChild[localResult](ctx, "local hot", localArgs{Contender: row, For: pick(p, time.Second, 100*time.Millisecond)})
			return cells{"take": r.Take, "allocs": r.Allocs}, err
		},
		tables: []report.Table{{
			Title: "Local take, one hot key, one goroutine",
			Columns: []report.Column{
				{Name: "time per take", Key: "take", Unit: report.Nanoseconds, Ratio: true},
				{Name: "allocations", Key: "allocs", Unit: report.Count},
			},
		}},
	}
}

// localMany: what it costs when nothing is in the cache, and what the keys weigh.
func localMany() experiment {
	return experiment{
		name: "local many", rows: localNames(), rounds: 3,
		run: func(ctx context.Context, p pace, row string) (cells, error) {
			r, err := inChild[localResult](ctx, "local many", localArgs{
				Contender: row, Keys: pick(p, 1_000_000, 100_000), Goroutines: 2, For: pick(p, time.Second, 200*time.Millisecond),
			})
			return cells{"take": r.Take, "listed": r.TakeListed, "bytes": r.BytesPerKey, "gc": float64(r.GC)}, err
		},
		tables: []report.Table{{
			Title: "Local, one million keys (100,000 in a short run)",
			Note: "Takes from keys at random by two goroutines, wall time divided by takes. The key is put together for each\n" +
				"take, as that of a request is; or picked from a list of all keys, which costs two more cache misses, those\n" +
				"of the list. Bytes of heap per live key, with the key's own where the limiter keeps it. One `runtime.GC()`\n" +
				"with nothing else on the heap.",
			Columns: []report.Column{
				{Name: "time per take", Key: "take", Unit: report.Nanoseconds, Ratio: true},
				{Name: "keys from a list", Key: "listed", Unit: report.Nanoseconds, Ratio: true},
				{Name: "bytes per key", Key: "bytes", Unit: report.Bytes, Ratio: true},
				{Name: "one GC", Key: "gc", Unit: report.Nanoseconds, Ratio: true},
			},
		}},
	}
}
