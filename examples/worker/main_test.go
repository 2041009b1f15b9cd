package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// The program's own checks hold; with a clock that waits for nobody it can be said when.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		start := time.Now()
		require.NoError(t, run(&out))
		assert.Contains(t, out.String(), "bolt:  4 recipients, at seconds 0.0 0.0\n")
		took := time.Since(start)
		assert.GreaterOrEqual(t, took, 3500*time.Millisecond, "40 recipients less a burst of 5")
		assert.Less(t, took, 5*time.Second)
	})
}

// broken is a limiter that never decides.
type broken struct{}

func (broken) Take(context.Context, string, limiter.Limit, int64) (limiter.Decision, error) {
	return limiter.Decision{}, errors.New("out of order")
}

// A job that cannot be decided does not hold the others.
func TestBrokenLimiter(t *testing.T) {
	q := newQueue([]job{{"acme", 2}, {"bolt", 1}}, broken{})
	q.work()
	assert.Empty(t, q.done)
	assert.Len(t, q.failed, 2)
}

// What the program exits by is not blind.
func TestReport(t *testing.T) {
	acme := sent{job{"acme", 5}, time.Second}
	for want, done := range map[string][]sent{
		"1 of 2 jobs":                   {acme},
		"bolt: 6 recipients after 50ms": {{job{"bolt", 6}, 50 * time.Millisecond}, acme},
		"had to wait for acme":          {acme, {job{"bolt", 1}, time.Second}},
		"a small tenant had to wait":    {acme, {job{"cove", 1}, time.Minute}},
	} {
		assert.ErrorContains(t, report(io.Discard, done, nil, 2), want)
	}
}
