package main

import (
	"context"
	"time"

	"github.com/weir-go/weir/bench/report"
)

// cells are what one run of one contender measured, by the keys of columns.
type cells map[string]float64

// experiment is one question, put to several contenders in turn.
type experiment struct {
	name string
	// rows are the contenders, or the sizes; the ratios are to the first.
	rows []string
	// rounds bounds how often it is worth repeating; 0 does not.
	rounds int
	// run measures one of the rows. What it could measure before an error counts.
	run func(ctx context.Context, p pace, row string) (cells, error)
	// tables are how the results are shown.
	tables []report.Table
}

// pace is how much time measurements get.
type pace struct{ short bool }

// pick chooses a duration, or a number, for a full run or a short one.
func pick[T any](p pace, full, short T) T {
	if p.short {
		return short
	}
	return full
}

// deadline is how long one run of one row may take, with all its processes. Those
// that hang fail, and the others go on.
const deadline = 60 * time.Second

// scalingExperiments is how many at the end are about weir alone.
const scalingExperiments = 4

// experiments are all of them, in the order in which they run and are shown.
func experiments() []experiment {
	return []experiment{
		localAdmission(), localHot(), localMany(),
		admission(), forwarded(), hotKey(), denied(), idle(),
		scaling(), growth(), ringChange(), shipping(),
	}
}
