package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
	"github.com/weir-go/weir/limiter"
)

// variant is a contender with the way in which it treats a budget.
type variant struct {
	kind  string
	lease limiter.Lease
}

// variants are what may be asked about one key by several nodes.
var variants = map[string]variant{
	"weir, leases automatic": {contend.Weir, limiter.LeaseAuto},
	"weir, leases always":    {contend.Weir, limiter.LeaseAlways},
	"weir, no leases":        {contend.Weir, limiter.LeaseOff},
	contend.WeirPlain:        {contend.WeirPlain, limiter.LeaseOff},
	contend.Rueidis:          {contend.Rueidis, 0},
	contend.GoRedis:          {contend.GoRedis, 0},
	contend.Gubernator:       {contend.Gubernator, 0},
	contend.GubernatorBatch:  {contend.GubernatorBatch, 0},
	contend.GubernatorGRPC:   {contend.GubernatorGRPC, 0},
	contend.GubernatorAll:    {contend.GubernatorAll, 0},
}

// scarce is a budget that the traffic exceeds threefold.
func scarce(p pace, l limiter.Lease) contend.Budget {
	return contend.Budget{Quota: pick[int64](p, 30_000, 3_000), Window: 24 * time.Hour, Lease: l}
}

// spend has all members take from one key, three times its quota in all, and returns
// what was admitted as a share of the quota.
func spend(e *ensemble, key string, b contend.Budget, callers int) (share float64, err error) {
	if err := e.choose(keyChoice{Prefix: key, Count: 1}); err != nil {
		return 0, err
	}
	r, err := e.together(loadArgs{Callers: callers, For: 20 * time.Second, Takes: 3*b.Quota/int64(len(e.members)) + 1, Budget: b})
	if err != nil {
		return 0, err
	}
	if r.Takes < 2*b.Quota {
		return 0, fmt.Errorf("only %d takes came about, for a quota of %d", r.Takes, b.Quota)
	}
	return float64(r.Admitted) / float64(b.Quota), firstOf(r.err(), exactly(r.Admitted, b.Quota))
}

// exactly is an error unless what was admitted is what should have been.
func exactly(admitted, want int64) error {
	if admitted != want {
		return fmt.Errorf("admitted %d, and should have admitted %d", admitted, want)
	}
	return nil
}

// admission: whether what is compared does the same, before it is compared.
func admission() experiment {
	return experiment{
		name: "admission", rounds: 1,
		rows: []string{"weir, no leases", contend.WeirPlain, contend.Rueidis, contend.GoRedis,
			contend.Gubernator, contend.GubernatorBatch, contend.GubernatorGRPC},
		run: func(ctx context.Context, p pace, row string) (cells, error) {
			v := variants[row]
			e, err := gather(ctx, v.kind, 2)
			if err != nil {
				return nil, err
			}
			defer e.close()
			share, err := spend(e, "checked", scarce(p, v.lease), 32)
			return cells{"admitted": share}, err
		},
		tables: []report.Table{{
			Title:   "Admitted, as a multiple of the limit: two nodes, one key, three times the traffic",
			Note:    "1 is right.",
			Columns: []report.Column{{Name: "admitted ÷ limit", Key: "admitted", Unit: report.Exact}},
		}},
	}
}

// hotKey: three nodes that are all asked about one key.
func hotKey() experiment {
	return experiment{
		name: "hot key", rounds: 3,
		rows: []string{"weir, leases automatic", "weir, leases always", "weir, no leases",
			contend.Rueidis, contend.GoRedis, contend.Gubernator, contend.GubernatorAll},
		run: runHotKey,
		tables: []report.Table{{
			Title: "One hot key on three nodes",
			Note: "Three processes with 64 callers each. Where one of them owns the key, it takes without asking anybody, and\n" +
				"can make up most of the sum: what the nodes do that must ask is shown without the fastest. Then, with another\n" +
				"key, a limit that the traffic exceeds threefold: what was admitted, as a multiple of the limit.",
			Columns: []report.Column{
				{Name: "takes, all nodes", Key: "rate", Unit: report.PerSecond, Ratio: true},
				{Name: "all but the fastest node", Key: "others", Unit: report.PerSecond, Ratio: true},
				{Name: "CPU per take", Key: "cpu", Unit: report.Nanoseconds},
				{Name: "admitted ÷ limit", Key: "admitted", Unit: report.Exact},
			},
		}},
	}
}

const hotCallers = 64

func runHotKey(ctx context.Context, p pace, row string) (cells, error) {
	v := variants[row]
	e, err := gather(ctx, v.kind, 3)
	if err != nil {
		return nil, err
	}
	defer e.close()
	if err := e.choose(keyChoice{Prefix: "hot", Count: 1}); err != nil {
		return nil, err
	}
	b := contend.Ample
	b.Lease = v.lease
	a := loadArgs{Callers: hotCallers, For: pick(p, time.Second, 200*time.Millisecond), Budget: b, Untimed: true}
	if _, err := e.together(a); err != nil { // warm: leases are found worth while
		return nil, err
	}
	before, err := e.cpu()
	if err != nil {
		return nil, err
	}
	r, err := e.together(a)
	if err != nil {
		return nil, err
	}
	after, err := e.cpu()
	if err != nil {
		return nil, err
	}
	got := cells{"rate": r.Rate, "others": r.Rate - r.Fastest, "cpu": float64(after-before) / float64(max(r.Takes, 1))}
	if err := r.err(); err != nil {
		return got, err
	}
	got["admitted"], err = spend(e, "scarce", scarce(p, v.lease), hotCallers)
	return got, err
}
