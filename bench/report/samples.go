package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Samples are what the rounds measured of one thing.
type Samples []float64

// Median is the middle of them, or NaN if there are none.
func (s Samples) Median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	m := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[m]
	}
	return (sorted[m-1] + sorted[m]) / 2
}

// Unit says how a number is written.
type Unit int

const (
	Nanoseconds Unit = iota // scaled to what reads well
	PerSecond
	Bytes
	Count
	Share // 0.01 is 1 %
	Factor
	Seconds
	Exact // to four decimals, for what should be a round number
)

// Format writes a number for people: three significant digits, and a unit.
func (u Unit) Format(v float64) string {
	switch u {
	case Nanoseconds:
		return duration(v)
	case PerSecond:
		return scaled(v, 1000, "/s", "k/s", "M/s", "G/s")
	case Bytes:
		return scaled(v, 1024, " B", " KiB", " MiB", " GiB")
	case Share:
		return digits(v*100) + " %"
	case Factor:
		return digits(v) + " ×"
	case Exact:
		return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	case Seconds:
		return digits(v) + " s"
	}
	return digits(v)
}

func duration(ns float64) string {
	for _, step := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if math.Abs(ns) >= float64(step.unit)*0.9995 {
			return digits(ns/float64(step.unit)) + " " + step.name
		}
	}
	return digits(ns) + " ns"
}

func scaled(v, by float64, names ...string) string {
	i := 0
	for math.Abs(v) >= by*0.9995 && i < len(names)-1 {
		v, i = v/by, i+1
	}
	return digits(v) + names[i]
}

// digits is a number with three significant digits, but whole above a hundred.
func digits(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "–"
	case a >= 99.95 || v == math.Trunc(v):
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

// thousands puts commas into a whole number.
func thousands(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	var parts []string
	for len(s) > 3 {
		parts, s = append(parts, s[len(s)-3:]), s[:len(s)-3]
	}
	slices.Reverse(parts)
	return sign + strings.Join(append([]string{s}, parts...), ",")
}

// Text is the median, and the range if there is one to speak of.
func (s Samples) Text(u Unit) string {
	if len(s) == 0 {
		return "–"
	}
	text := u.Format(s.Median())
	low, high := u.Format(slices.MinFunc(s, cmp.Compare[float64])), u.Format(slices.MaxFunc(s, cmp.Compare[float64]))
	if low != high {
		text += " (" + low + " to " + high + ")"
	}
	return text
}

// Ratio is how many times of the base these are, by the medians; "" if one is
// missing.
func (s Samples) Ratio(base Samples) string {
	r := s.Median() / base.Median()
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return ""
	}
	return Factor.Format(r)
}
