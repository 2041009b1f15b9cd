package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The histogram against a sorted list of everything.
func TestHistogramPercentiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var h, other Histogram
	for i := range 20000 {
		d := time.Duration(math.Exp(rng.Float64() * 20)) // 1 ns to half a second
		all = append(all, d)
		if i%2 == 0 {
			h.Add(d)
		} else {
			other.Add(d)
		}
	}
	h.Merge(&other)
	slices.Sort(all)
	for _, p := range []float64{0.001, 0.5, 0.99, 0.9999, 1} {
		exact := all[max(int(math.Ceil(p*float64(len(all)))), 1)-1]
		got := h.Percentile(p)
		assert.GreaterOrEqual(t, got, exact, "p=%v", p)
		assert.LessOrEqual(t, float64(got), float64(exact)*(1+1.0/subs)+1, "p=%v", p)
	}
	assert.Equal(t, all[len(all)-1], h.Max())
	assert.EqualValues(t, len(all), h.Count())
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	assert.Zero(t, h.Percentile(0.5))
	for _, d := range []time.Duration{-1, 0, 63, 64, 127, 128, time.Hour, math.MaxInt64} {
		i := step(d)
		assert.GreaterOrEqual(t, ceiling(i), d, "%d", d)
		if i > 0 {
			assert.Less(t, ceiling(i-1), d, "%d", d)
		}
		h.Add(d)
	}
	assert.Equal(t, time.Duration(math.MaxInt64), h.Percentile(1))
}

func TestSamples(t *testing.T) {
	assert.True(t, math.IsNaN(Samples(nil).Median()))
	assert.Equal(t, 3.0, Samples{9, 1, 3}.Median())
	assert.Equal(t, 2.5, Samples{9, 1, 3, 2}.Median())
	assert.Equal(t, "–", Samples(nil).Text(Nanoseconds))
	assert.Equal(t, "3.00 µs", Samples{3001}.Text(Nanoseconds))
	assert.Equal(t, "2 ns (1 ns to 4 ns)", Samples{4, 1, 2}.Text(Nanoseconds))
	assert.Equal(t, "2 ×", Samples{10}.Ratio(Samples{5}))
	assert.Empty(t, Samples{10}.Ratio(nil))
	assert.Empty(t, Samples(nil).Ratio(Samples{1}))
	assert.Empty(t, Samples{1}.Ratio(Samples{0}))
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		v    float64
		want string
	}{
		{Nanoseconds, 51.23, "51.2 ns"},
		{Nanoseconds, 999.9, "1.00 µs"},
		{Nanoseconds, 5_200_000, "5.20 ms"},
		{Nanoseconds, 3e9, "3 s"},
		{PerSecond, 858_123, "858k/s"},
		{PerSecond, 5_040_000, "5.04M/s"},
		{PerSecond, 12, "12/s"},
		{Bytes, 64, "64 B"},
		{Bytes, 20 << 20, "20 MiB"},
		{Share, 0.003, "0.30 %"},
		{Share, 0.00004, "0.004 %"},
		{Factor, 0.912, "0.91 ×"},
		{Exact, 1, "1"},
		{Exact, 1.00026, "1.0003"},
		{Seconds, 1.5, "1.50 s"},
		{Count, 1234567, "1,234,567"},
		{Count, -1234, "-1,234"},
		{Count, 0, "0"},
		{Count, math.NaN(), "–"},
	} {
		assert.Equal(t, c.want, c.unit.Format(c.v), "unit %d of %v", c.unit, c.v)
	}
}

func TestTable(t *testing.T) {
	table := Table{
		Title: "One hot key", Note: "As told.",
		Columns: []Column{{Name: "take", Unit: Nanoseconds, Ratio: true}, {Name: "allocs", Unit: Count}},
		Rows: []Row{
			{Name: "weir", Cells: map[string]Samples{"take": {50, 40, 60}, "allocs": {0}}},
			{Name: "other", Cells: map[string]Samples{"take": {100}, "allocs": {2}}},
			{Name: "third", Failed: "no such thing"},
		},
	}
	assert.Equal(t, `### One hot key

As told.

|       |                   take | ÷ weir | allocs |
|-------|-----------------------:|-------:|-------:|
| weir  | 50 ns (40 ns to 60 ns) |    1 × |      0 |
| other |                 100 ns |    2 × |      2 |
| third |                 failed |        | failed |

third failed: no such thing
`, table.Markdown())
}

// A chart is well-formed, names every contender, and escapes what it is given.
func TestChart(t *testing.T) {
	c := Chart{Title: "a < b & c", Note: "note", Panels: []Panel{
		{Title: "takes", XName: "callers", Unit: PerSecond, Lines: []Curve{
			{"weir", []Point{{1, 20000}, {256, 800000}}}, {"<other>", []Point{{1, 10000}, {256, 100000}}}}},
		{Title: "empty", XName: "callers", Unit: Nanoseconds},
		{Title: "one point", XName: "callers", Unit: Nanoseconds, Lines: []Curve{{"weir", []Point{{1, 1000}}}}},
	}}
	svg := c.SVG()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	assert.NotContains(t, svg, "NaN")
	assert.NotContains(t, svg, "Inf")
	assert.Contains(t, svg, "a &lt; b &amp; c")
	assert.Contains(t, svg, ">&lt;other&gt;</text>")
	assert.Contains(t, svg, ">100k/s</text>")
	assert.Equal(t, 3, strings.Count(svg, "<polyline"))
}
