package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

// denied: a key over its limit, asked again and again at a node that does not own it.
func denied() experiment {
	return experiment{
		name: "denied", rounds: 3,
		rows: []string{"weir, no leases", "weir, leases automatic", contend.WeirPlain, contend.Rueidis, contend.GoRedis,
			contend.Gubernator, contend.GubernatorAll},
		run: runDenied,
		tables: []report.Table{{
			Title: "A key over its limit, asked at a node that does not own it",
			Note:  "One caller, which never waits. Admitted must be 0.",
			Columns: []report.Column{
				{Name: "time per take", Key: "take", Unit: report.Nanoseconds, Ratio: true},
				{Name: "admitted", Unit: report.Count},
			},
		}},
	}
}

func runDenied(ctx context.Context, p pace, row string) (cells, error) {
	v := variants[row]
	e, err := gather(ctx, v.kind, 2)
	if err != nil {
		return nil, err
	}
	defer e.close()
	caller, b := e.members[0], contend.Budget{Quota: 100, Window: 24 * time.Hour, Lease: v.lease}
	if _, err := ask[none](caller, "keys", keyChoice{Prefix: "over", Count: 1, Foreign: true, Budget: b}); err != nil {
		return nil, err
	}
	a := loadArgs{Callers: 1, For: 5 * time.Second, Takes: 3 * b.Quota, Budget: b}
	if r, err := ask[loadResult](caller, "load", a); err != nil || r.err() != nil {
		return nil, fmt.Errorf("to use up the budget: %w", firstOf(err, r.err()))
	}
	if err := settle(ctx); err != nil {
		return nil, err
	}
	a.Takes, a.Untimed, a.For = 0, true, pick(p, 1200*time.Millisecond, 200*time.Millisecond)
	r, err := ask[loadResult](caller, "load", a)
	if err != nil {
		return nil, err
	}
	return cells{"take": float64(r.Took) / float64(max(r.Takes, 1)), "admitted": float64(r.Admitted)}, firstOf(r.err(), exactly(r.Admitted, 0))
}

// settle waits until what is told to others in the background has been told:
// gubernator's GLOBAL does so every 100 ms.
func settle(ctx context.Context) error { return pause(ctx, 300*time.Millisecond) }

// pause waits, but not longer than ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
