package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

// concurrency is how many callers ask at once, at one node.
var concurrency = []int{1, 8, 64, 256, 1024}

// forwardedKeys is over how many keys that another process decides about they spread.
const forwardedKeys = 10_000

// forwardedKinds are the contenders: those that forward, and the echoes as their
// floor, which are asked by one caller only.
var forwardedKinds = []string{
	contend.Weir, contend.WeirPlain, contend.Rueidis, contend.GoRedis,
	contend.Gubernator, contend.GubernatorBatch, contend.GubernatorGRPC,
	contend.EchoTLS, contend.EchoPlain,
}

// forwarded: decisions that another process makes, caller and owner on loopback.
func forwarded() experiment {
	note := "Caller and owner are two processes on loopback, the keys 10,000 (1,000 in a short run) about\n" +
		"which the other process decides. weir speaks TLS unless it has no secret; Redis and gubernator are plain."
	return experiment{
		name: "forwarded", rows: forwardedKinds, run: runForwarded,
		tables: []report.Table{
			{Title: "Forwarded takes per second, by callers", Note: note, Columns: perCaller("rate", report.PerSecond, 256)},
			{Title: "Forwarded take, p50, by callers", Note: "The echoes send 48 bytes there and back over the same kind of connection, and decide nothing.",
				Columns: perCaller("p50", report.Nanoseconds, 1)},
			{Title: "Forwarded take, p99, by callers", Columns: perCaller("p99", report.Nanoseconds, 256)},
			{Title: "CPU per forwarded take, all processes, by callers",
				Note:    "User and system time of caller, owner and redis-server.",
				Columns: perCaller("cpu", report.Nanoseconds, 256)},
		},
	}
}

// perCaller is a column for each concurrency, with a ratio at one of them.
func perCaller(what string, unit report.Unit, ratioAt int) (columns []report.Column) {
	for _, n := range concurrency {
		columns = append(columns, report.Column{Name: fmt.Sprint(n), Key: fmt.Sprintf("%s %d", what, n), Unit: unit, Ratio: n == ratioAt})
	}
	return columns
}

func runForwarded(ctx context.Context, p pace, kind string) (cells, error) {
	e, err := gather(ctx, kind, 2)
	if err != nil {
		return nil, err
	}
	defer e.close()
	caller := e.members[0]
	keys := keyChoice{Prefix: "user", Count: pick(p, forwardedKeys, 1000), Foreign: true, Budget: contend.Ample}
	if _, err := ask[none](caller, "keys", keys); err != nil {
		return nil, err
	}
	levels := concurrency
	if strings.HasPrefix(kind, "echo") {
		levels = levels[:1]
	}
	got := cells{}
	var errs []error
	for _, callers := range levels {
		a := loadArgs{Callers: callers, For: pick(p, 250*time.Millisecond, 100*time.Millisecond), Budget: contend.Ample}
		if _, err := ask[loadResult](caller, "load", a); err != nil {
			return got, err
		}
		before, err := e.cpu()
		if err != nil {
			return got, err
		}
		a.For = pick(p, 800*time.Millisecond, 200*time.Millisecond)
		r, err := ask[loadResult](caller, "load", a)
		if err != nil {
			return got, err
		}
		after, err := e.cpu()
		if err != nil {
			return got, err
		}
		if err := firstOf(r.err(), r.local()); err != nil {
			errs = append(errs, fmt.Errorf("at %d callers %w", callers, err))
		}
		key := func(what string) string { return fmt.Sprintf("%s %d", what, callers) }
		got[key("rate")] = r.Rate
		got[key("p50")], got[key("p99")] = float64(r.P50), float64(r.P99)
		got[key("cpu")] = float64(after-before) / float64(max(r.Takes-r.Errors, 1))
	}
	return got, errors.Join(errs...)
}

// local is an error if takes that were to be forwarded were not: what was measured
// would be something cheaper.
func (r loadResult) local() error {
	if r.Forwarded >= 0 && r.Forwarded < r.Takes {
		return fmt.Errorf("%d of %d takes were not forwarded", r.Takes-r.Forwarded, r.Takes)
	}
	return nil
}

// figure draws throughput and p99 over concurrency.
func figure(t []report.Table, note string) report.Chart {
	panel := func(title string, t report.Table) report.Panel {
		p := report.Panel{Title: title, XName: "callers at once", Unit: t.Columns[0].Unit}
		for _, row := range t.Rows {
			l := report.Curve{Name: row.Name}
			for i, c := range t.Columns {
				if s := row.Cells[c.Key]; len(s) > 0 {
					l.Points = append(l.Points, report.Point{X: float64(concurrency[i]), Y: s.Median()})
				}
			}
			if len(l.Points) > 1 {
				p.Lines = append(p.Lines, l)
			}
		}
		return p
	}
	return report.Chart{
		Title: "A decision that another process makes", Note: note,
		Panels: []report.Panel{panel("takes per second (more is better)", t[0]), panel("p99 of a take (less is better)", t[2])},
	}
}
