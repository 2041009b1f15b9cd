package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Point is one place on a curve.
type Point struct{ X, Y float64 }

// Curve is one contender.
type Curve struct {
	Name   string
	Points []Point
}

// Panel is one diagram: both axes logarithmic, since contenders lie decades apart.
type Panel struct {
	Title string
	XName string
	Unit  Unit // of Y
	Lines []Curve
}

// Chart is panels side by side over one legend. A contender has one colour in all.
type Chart struct {
	Title  string
	Note   string
	Panels []Panel
}

const (
	panelW, panelH = 420, 330
	gapX, topY     = 84, 92 // left of each panel, above all
	legendRow      = 22
	legendColumns  = 3
)

// colours are told apart by people who see red and green as one (Okabe and Ito),
// the darkest, for the first contender, thicker.
var colours = []string{"#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#555555", "#a0a000"}

// SVG draws the chart. Labels are text, so that they stay sharp and can be found.
func (c Chart) SVG() string {
	names := c.names()
	width := len(c.Panels)*(gapX+panelW) + 40
	legendY := topY + panelH + 70
	height := legendY + (len(names)+legendColumns-1)/legendColumns*legendRow + 10
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	text(&b, 24, 32, "start", `font-size="18" font-weight="bold"`, c.Title)
	text(&b, 24, 54, "start", `fill="#555"`, c.Note)
	for i, p := range c.Panels {
		p.draw(&b, float64(gapX+i*(gapX+panelW)), names)
	}
	for i, name := range names {
		x := float64(gapX + i%legendColumns*(width-gapX)/legendColumns)
		y := float64(legendY + i/legendColumns*legendRow)
		fmt.Fprintf(&b, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="%s" stroke-width="%d"/>`+"\n", x, y-4, x+26, y-4, colour(i), stroke(i))
		text(&b, x+34, y, "start", "", name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// names are those of all curves, in the order in which they appear.
func (c Chart) names() (names []string) {
	seen := map[string]bool{}
	for _, p := range c.Panels {
		for _, l := range p.Lines {
			if !seen[l.Name] {
				seen[l.Name] = true
				names = append(names, l.Name)
			}
		}
	}
	return names
}

func colour(i int) string { return colours[i%len(colours)] }

func stroke(i int) int {
	if i == 0 {
		return 4
	}
	return 2
}

func text(b *strings.Builder, x, y float64, anchor, style, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
}

// draw puts a panel at x.
func (p Panel) draw(b *strings.Builder, x float64, names []string) {
	xs, ys := p.scales(x)
	text(b, x, topY-10, "start", `font-weight="bold"`, p.Title)
	for _, v := range ys.decades() {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x, ys.at(v), x+panelW, ys.at(v))
		text(b, x-8, ys.at(v)+4, "end", "", p.Unit.Format(v))
	}
	for _, v := range p.xValues() {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#eee"/>`+"\n", xs.at(v), topY, xs.at(v), topY+panelH)
		text(b, xs.at(v), topY+panelH+20, "middle", "", Count.Format(v))
	}
	text(b, x+panelW/2, topY+panelH+42, "middle", `fill="#555"`, p.XName)
	fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%d" height="%d" fill="none" stroke="#999"/>`+"\n", x, topY, panelW, panelH)
	for i := len(names) - 1; i >= 0; i-- { // the first on top
		for _, l := range p.Lines {
			if l.Name == names[i] {
				l.draw(b, i, xs, ys)
			}
		}
	}
}

func (l Curve) draw(b *strings.Builder, i int, xs, ys scale) {
	var path []string
	for _, q := range l.Points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", xs.at(q.X), ys.at(q.Y)))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="%d" fill="%s"/>`+"\n", xs.at(q.X), ys.at(q.Y), stroke(i)+1, colour(i))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%d"/>`+"\n", strings.Join(path, " "), colour(i), stroke(i))
}

// scale maps the logarithm of low to high onto pixels from to to.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*math.Log(v/s.low)/math.Log(s.high/s.low)
}

// decades are the powers of ten within the scale.
func (s scale) decades() (vs []float64) {
	for v := s.low; v <= s.high*1.001; v *= 10 {
		vs = append(vs, v)
	}
	return vs
}

// scales fit all points: whole decades upwards, and a little room at both sides.
func (p Panel) scales(x float64) (xs, ys scale) {
	xLow, xHigh, yLow, yHigh := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, l := range p.Lines {
		for _, q := range l.Points {
			xLow, xHigh = min(xLow, q.X), max(xHigh, q.X)
			yLow, yHigh = min(yLow, q.Y), max(yHigh, q.Y)
		}
	}
	if xHigh == 0 || yHigh == 0 { // nothing to draw, but a frame
		xLow, xHigh, yLow, yHigh = 1, 10, 1, 10
	}
	floor := math.Pow(10, math.Floor(math.Log10(yLow)))
	ceil := max(math.Pow(10, math.Ceil(math.Log10(yHigh))), floor*10)
	return scale{xLow * 0.8, max(xHigh, xLow*2) * 1.25, x, x + panelW}, scale{floor, ceil, topY + panelH, topY}
}

// xValues are where anything was measured.
func (p Panel) xValues() (vs []float64) {
	seen := map[float64]bool{}
	for _, l := range p.Lines {
		for _, q := range l.Points {
			if !seen[q.X] {
				seen[q.X] = true
				vs = append(vs, q.X)
			}
		}
	}
	return vs
}
