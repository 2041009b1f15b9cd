package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/weir-go/weir/bench/report"
)

// runner carries out experiments.
type runner struct {
	pace     pace
	rounds   int
	only     *regexp.Regexp // of "experiment/row"; nil is everything
	end      time.Time      // after which no further round begins
	progress io.Writer
	begun    time.Time

	results map[string]map[string]map[string]report.Samples // experiment, row, key
	failed  map[string]map[string]string                    // experiment, row: why
}

func newRunner(p pace, rounds int, only *regexp.Regexp, limit time.Duration, progress io.Writer) *runner {
	now := time.Now()
	return &runner{pace: p, rounds: rounds, only: only, end: now.Add(limit), begun: now, progress: progress,
		results: map[string]map[string]map[string]report.Samples{}, failed: map[string]map[string]string{}}
}

// wants says whether a row is to run.
func (r *runner) wants(e experiment, row string) bool {
	return r.only == nil || r.only.MatchString(e.name+"/"+row)
}

// run has the contenders take turns: every experiment and row once, then all again,
// so that a minute in which the machine was busy hits all alike. What is left when
// time is up is not measured as often; only the first round is never cut short.
func (r *runner) run(ctx context.Context, experiments []experiment) {
	for round := range r.rounds {
		for _, e := range experiments {
			if e.rounds > 0 && round >= e.rounds {
				continue
			}
			for _, row := range e.rows {
				if ctx.Err() != nil || round > 0 && time.Now().After(r.end) {
					return
				}
				if r.wants(e, row) {
					r.once(ctx, e, row, round)
				}
			}
		}
	}
}

// once measures one row one time.
func (r *runner) once(ctx context.Context, e experiment, row string, round int) {
	if why := r.failed[e.name][row]; round > 0 && why != "" && len(r.results[e.name][row]) == 0 {
		return // it would fail again, and take its time to do so
	}
	limited, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	begin := time.Now()
	got, err := guarded(limited, e, r.pace, row)
	if ctx.Err() != nil {
		return // interrupted: what was measured is cut short
	}
	if limited.Err() != nil {
		err = errors.Join(fmt.Errorf("stopped after %v", deadline), err)
	}
	r.keep(e.name, row, got, err)
	fmt.Fprintf(r.progress, "%5.0fs  round %d/%d  %-10s  %-24s  %5.1fs  %s\n",
		time.Since(r.begun).Seconds(), round+1, r.rounds, e.name, row, time.Since(begin).Seconds(), summary(e, got, err))
}

// guarded runs a row, and makes a panic its failure: the other rows' results are worth
// more than a stack.
func guarded(ctx context.Context, e experiment, p pace, row string) (got cells, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return e.run(ctx, p, row)
}

func (r *runner) keep(name, row string, got cells, err error) {
	if r.results[name] == nil {
		r.results[name], r.failed[name] = map[string]map[string]report.Samples{}, map[string]string{}
	}
	if r.results[name][row] == nil {
		r.results[name][row] = map[string]report.Samples{}
	}
	if err != nil {
		// One line, for tables: a panic's stack is long, and says it at its beginning.
		r.failed[name][row], _, _ = strings.Cut(strings.ReplaceAll(err.Error(), "\n", "; "), "; goroutine")
		if len(got) == 0 || r.failed[name][row] != "" && allZero(got) {
			return
		}
	}
	for key, v := range got {
		r.results[name][row][key] = append(r.results[name][row][key], v)
	}
}

// allZero tells results that were never filled in.
func allZero(got cells) bool {
	for _, v := range got {
		if v != 0 {
			return false
		}
	}
	return true
}

// summary is a line for who waits: the numbers of the first table.
func summary(e experiment, got cells, err error) string {
	if err != nil {
		return "failed: " + strings.SplitN(err.Error(), "\n", 2)[0]
	}
	var parts []string
	for _, c := range e.tables[0].Columns {
		if v, ok := got[c.CellKey()]; ok {
			parts = append(parts, c.Name+" "+c.Unit.Format(v))
		}
	}
	return strings.Join(parts, ", ")
}

// tables fills in what was measured. An experiment none of whose rows ran has none.
func (r *runner) tables(e experiment) (tables []report.Table) {
	var rows []report.Row
	for _, row := range e.rows {
		if cells, ok := r.results[e.name][row]; ok {
			rows = append(rows, report.Row{Name: row, Failed: r.failed[e.name][row], Cells: maps.Clone(cells)})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	tables = slices.Clone(e.tables)
	for i := range tables {
		tables[i].Rows = rows
		if i > 0 { // why something failed is told once
			tables[i].Rows = slices.Clone(rows)
			for j := range rows {
				tables[i].Rows[j].Failed = ""
			}
		}
	}
	return tables
}
