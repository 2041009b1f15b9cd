package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

// TestMain makes the test binary the children of measurements, as main does.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := serveChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// The program as a whole, on a small part: real processes, a real cluster.
func TestBench(t *testing.T) {
	dir := t.TempDir()
	out, svg := filepath.Join(dir, "out.md"), filepath.Join(dir, "chart.svg")
	var printed, progress bytes.Buffer
	err := bench(t.Context(), []string{"-short", "-out", out, "-svg", svg,
		"-only", `^(local (admission|hot|many)/(weir|go-limiter)|admission/weir|forwarded/(weir|echo, plain)$|ring/nodes: 3,|shipping/without|growth/keys: 1,000$)`}, &printed, &progress)
	require.NoError(t, err)
	text := printed.String()
	assert.NotContains(t, text, "failed", "%s", progress.String())
	for _, want := range []string{
		`\| go-limiter +\|.*×.*\n`,
		`\| go-limiter +\| +1 \|\n`,
		`\| weir, no secret +\| +1 \|\n`, // admitted exactly the limit
		`\| echo, plain +\| +[0-9.]+k?/s \|`,
		`\| nodes: 3, and one more +\|`,
		`\| keys: 1,000 +\|`,
		`\| without a secret +\| +[0-9.]+ B \| +1 \|`,
		`!\[.*\]\(chart.svg\)`,
	} {
		assert.Regexp(t, want, text)
	}
	assert.NotContains(t, text, "gubernator |", "only what was asked for")
	kept, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, text, string(kept))
	chart, err := os.ReadFile(svg)
	require.NoError(t, err)
	assert.Contains(t, string(chart), ">weir</text>")
}

func TestListAndFlags(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, bench(t.Context(), []string{"-list"}, &out, io.Discard))
	assert.Contains(t, out.String(), "forwarded/Redis, rueidis\n")
	assert.Contains(t, out.String(), "growth/keys: 10,000,000\n")
	out.Reset()
	require.NoError(t, bench(t.Context(), []string{"-list", "-scaling"}, &out, io.Discard))
	assert.Regexp(t, `^scaling/nodes: 1\n`, out.String())
	assert.NotContains(t, out.String(), "gubernator")
	assert.Error(t, bench(t.Context(), []string{"-only", "("}, io.Discard, io.Discard))
	assert.Error(t, bench(t.Context(), []string{"-unknown"}, io.Discard, io.Discard))
}

// Every row of the distributed experiments is a contender that exists.
func TestRowsAreContenders(t *testing.T) {
	for row, v := range variants {
		_, err := contend.KindOf(v.kind)
		assert.NoError(t, err, row)
	}
	for _, e := range []experiment{admission(), hotKey(), denied()} {
		for _, row := range e.rows {
			assert.Contains(t, variants, row, e.name)
		}
	}
	for _, row := range forwardedKinds {
		_, err := contend.KindOf(row)
		assert.NoError(t, err, row)
	}
}

// A contender that fails is a line in the table, and the others go on.
func TestFailuresAreShown(t *testing.T) {
	calls := map[string]int{}
	e := experiment{
		name: "test", rows: []string{"good", "bad", "worse", "partly"},
		run: func(_ context.Context, _ pace, row string) (cells, error) {
			calls[row]++
			switch row {
			case "bad":
				return cells{"take": 0}, errors.New("no\nluck")
			case "worse":
				panic("out of luck")
			case "partly":
				return cells{"take": 7}, errors.New("one of two")
			}
			return cells{"take": float64(calls[row])}, nil
		},
		tables: []report.Table{{Columns: []report.Column{{Name: "take", Unit: report.Nanoseconds, Ratio: true}}}},
	}
	r := newRunner(pace{}, 3, nil, time.Hour, io.Discard)
	r.run(t.Context(), []experiment{e})
	assert.Equal(t, map[string]int{"good": 3, "bad": 1, "worse": 1, "partly": 3}, calls, "what failed is not tried again")
	assert.Equal(t, `|        |                take | ÷ good |
|--------|--------------------:|-------:|
| good   | 2 ns (1 ns to 3 ns) |    1 × |
| bad    |              failed |        |
| worse  |              failed |        |
| partly |                7 ns | 3.50 × |

bad failed: no; luck

worse failed: panic: out of luck

partly failed: one of two
`, r.tables(e)[0].Markdown())
}

// Without redis-server its rows say so.
func TestRedisMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	require.NoError(t, bench(t.Context(), []string{"-short", "-only", "Redis, rueidis|idle/redis"}, &out, io.Discard))
	assert.Contains(t, out.String(), "Redis, rueidis failed: "+errNoRedis.Error())
	assert.Contains(t, out.String(), "redis-server failed: "+errNoRedis.Error())
}

// Rounds after the first do not begin once time is up, and none once it is stopped.
func TestRunnerEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	e := experiment{
		name: "test", rows: []string{"a", "b", "c"},
		run:    func(context.Context, pace, string) (cells, error) { calls++; return cells{"x": 1}, nil },
		tables: []report.Table{{Columns: []report.Column{{Name: "x"}}}},
	}
	newRunner(pace{}, 5, nil, 0, io.Discard).run(ctx, []experiment{e})
	assert.Equal(t, 3, calls, "the first round is whole")
	cancel()
	newRunner(pace{}, 5, nil, time.Hour, io.Discard).run(ctx, []experiment{e})
	assert.Equal(t, 3, calls)
}

// A child answers what it cannot do, survives a panic of a contender, and dies with
// its context.
func TestChildFailures(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := startChild(ctx)
	require.NoError(t, err)
	defer c.close()
	_, err = ask[none](c, "no such thing", nil)
	assert.ErrorContains(t, err, `"no such thing"`)
	_, err = ask[none](c, "load", "not arguments")
	assert.ErrorContains(t, err, "load")
	_, err = ask[loadResult](c, "load", loadArgs{Callers: 1}) // no member was started
	assert.ErrorContains(t, err, "panic")
	_, err = ask[string](c, "start", contend.Setup{Kind: "nobody"})
	assert.ErrorContains(t, err, `"nobody"`)
	cancel()
	for err = nil; err == nil; { // until the signal has arrived
		_, err = ask[usage](c, "usage", nil)
	}
	assert.ErrorContains(t, err, "ended")
}
