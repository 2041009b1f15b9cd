package status

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// policy lets the document have the style and the script that it was built with, and nothing else.
var policy = "default-src 'none'; style-src '" + hashOf(pageCSS) + "'; script-src '" + hashOf(pageJS) +
	"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":   func() template.CSS { return template.CSS(pageCSS) },
	"js":    func() template.JS { return template.JS(pageJS) },
	"span":  span,
	"num":   func(n int64) string { return number(float64(n)) },
	"rate":  number,
	"pct":   func(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" },
	"color": func(i int) string { return "c" + strconv.Itoa(i%colors) },
	"chart": chartOf,
	"arcs":  arcsOf,
	"way":   wayColor,
	"named": func(name string, t Top) namedTop { return namedTop{name, t} },
	"lines": func(all []string) string { return strings.Join(all, "\n") },
	"list":  func(all []string) string { return strings.Join(all, ", ") },
}).Parse(pageHTML))

const colors = 8 // classes c0 to c7 of page.css

// view is what the page is made of.
type view struct {
	*Report
	AllowReset, Explains bool
	Token                string
}

// wayColor is the class of a path, the same in both charts.
func wayColor(name string) string {
	ways := [colors]string{"held", "leased", "remembered", "forwarded", "degraded", "successor", "undone", "none"}
	if name == "alone" {
		name = "degraded"
	}
	return "c" + strconv.Itoa(max(0, slices.Index(ways[:], name)))
}

// namedTop is one of the two lists, which need ids of their own.
type namedTop struct {
	Name string
	Top
}

// span is a number of seconds as a person reads it.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch a := d.Abs(); {
	case a == 0:
		return "0"
	case a < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case a < time.Second:
		return d.Round(10 * time.Microsecond).String()
	case a < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	case a < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// number is a count or a rate with at most three places that matter, or all of a whole number.
func number(x float64) string {
	text := strconv.FormatFloat(x, 'f', 1, 64)
	if x == math.Trunc(x) || x >= 100 {
		text = strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	}
	whole, rest, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "\u202f" + whole[i:] // a narrow space that does not break
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole
}

// A chart is this large, in its own units.
const chartWidth, chartHeight = 600.0, 140.0

// chart is a stack of areas.
type chart struct {
	Width, Height float64
	Most          string // per second, at the top
	Span          string // of all
	Areas         []area
}

type area struct{ Class, Points string }

// chartOf stacks series, the first at the bottom.
func chartOf(all []Series, step float64) chart {
	c := chart{Width: chartWidth, Height: chartHeight}
	n := 0
	for _, s := range all {
		n = max(n, len(s.PerSecond))
	}
	sums, most := make([]float64, n), 0.0
	for _, s := range all {
		for k, x := range s.PerSecond {
			sums[k] += x
			most = max(most, sums[k])
		}
	}
	most = roundUp(most)
	c.Most, c.Span = number(most), span(float64(n)*step)
	below := make([]float64, n)
	for _, s := range all {
		var there, back []string
		for k, x := range s.PerSecond {
			at := chartWidth * float64(k) / float64(max(1, n-1))
			back = append(back, point(at, below[k]/most))
			below[k] += x
			there = append(there, point(at, below[k]/most))
		}
		for k := len(back) - 1; k >= 0; k-- {
			there = append(there, back[k])
		}
		c.Areas = append(c.Areas, area{wayColor(s.Name), strings.Join(there, " ")})
	}
	return c
}

func point(x, share float64) string { return fmt.Sprintf("%.1f,%.1f", x, chartHeight*(1-share)) }

// roundUp is the next number of one place that matters, at least 1.
func roundUp(x float64) float64 {
	if x <= 1 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	return math.Ceil(x/unit) * unit
}

// arc is a part of the ring's picture, in hundredths of the circle.
type arc struct{ Class, Dash, Offset string }

func arcsOf(members []Member) (all []arc) {
	begin := 0.0
	for i, m := range members {
		part := 100 * m.Share
		gap := min(0.4, part/2)
		all = append(all, arc{"c" + strconv.Itoa(i%colors), fmt.Sprintf("%.3f %.3f", part-gap, 100-part+gap), fmt.Sprintf("%.3f", 25-begin)})
		begin += part
	}
	return all
}
