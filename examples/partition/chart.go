package main

import (
	"bytes"
	"fmt"

	"github.com/weir-go/weir/limiter"
)

// The chart's measures, in pixels.
const (
	width   = 880
	left    = 68 // of the plots
	right   = 28
	header  = 76
	gap     = 64 // above each plot: its heading, and the names of its moments
	plot    = 124
	footer  = 66
	plotW   = width - left - right
	yMax    = 230 // admitted per second at a plot's upper edge
	barPart = 0.82
)

// Colours that are told apart also by those who see few, on a card of its own, so that
// it reads alike on light and on dark pages.
const (
	card     = "#ffffff"
	ink      = "#1f2933"
	faint    = "#5b6773"
	grid     = "#e3e7eb"
	cutShade = "#f1f2f5"
	red      = "#b3261e"
)

var sideColour = [2]string{"#2a6db0", "#e69f1d"}

var about = map[limiter.Split]string{
	limiter.SplitFull:   "each side may admit the whole quota",
	limiter.SplitShare:  "each side admits its part of the quota: nodes seen ÷ nodes known",
	limiter.SplitQuorum: "only the side with more than half of the nodes admits",
}

// picture is an SVG in the making.
type picture struct{ bytes.Buffer }

func (p *picture) line(x1, y1, x2, y2 float64, colour, more string) {
	fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"%s/>`+"\n", x1, y1, x2, y2, colour, more)
}

func (p *picture) rect(x, y, w, h float64, colour string) {
	fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, colour)
}

// text writes at a baseline; anchor is start, middle or end.
func (p *picture) text(x, y float64, anchor, colour string, size int, more, format string, args ...any) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" font-size="%d"%s>%s</text>`+"\n",
		x, y, anchor, colour, size, more, fmt.Sprintf(format, args...))
}

const dashed = ` stroke-width="1.5" stroke-dasharray="6 4"`

// draw makes one panel per result, one below the other on one axis of time.
func draw(results []result) []byte {
	height := header + len(results)*(gap+plot) + footer
	p := &picture{}
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" `+
		`font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">`+"\n", width, height, width, height)
	fmt.Fprintf(p, "<title>What a cluster of five admits while its network is cut</title>\n")
	fmt.Fprintf(p, `<rect x="0.5" y="0.5" width="%d" height="%d" rx="10" fill="%s" stroke="#cfd6dd"/>`+"\n", width-1, height-1, card)
	p.text(left, 32, "start", ink, 17, ` font-weight="600"`, "Five nodes, one budget of %d per second, and a cut between three and two", quota)
	p.legend(left, 58)
	for i, r := range results {
		p.panel(r, float64(header+i*(gap+plot)+gap))
	}
	p.times(len(results[0].seconds), float64(height-footer))
	p.text(left+plotW/2, float64(height-34), "middle", faint, 12, "", "seconds")
	p.text(left, float64(height-14), "start", faint, 11, "", "Each side asks for %d per second. The owner of the budget is on the side of %d nodes.", perSide, len(sides[0]))
	p.WriteString("</svg>\n")
	return p.Bytes()
}

func (p *picture) legend(x, y float64) {
	for side, colour := range sideColour {
		p.rect(x, y-10, 12, 12, colour)
		p.text(x+18, y, "start", ink, 12, "", "admitted by the side of %d nodes", len(sides[side]))
		x += 230
	}
	p.line(x, y-4, x+26, y-4, red, dashed)
	p.text(x+34, y, "start", ink, 12, "", "quota")
	x += 96
	p.rect(x, y-10, 12, 12, "#d9dce3")
	p.text(x+18, y, "start", ink, 12, "", "network cut")
}

// panel draws one result; top is the upper edge of its plot.
func (p *picture) panel(r result, top float64) {
	xs := func(second float64) float64 { return left + plotW*second/float64(len(r.seconds)) }
	ys := func(admitted float64) float64 { return top + plot*(1-admitted/yMax) }

	p.text(left, top-30, "start", ink, 14, "", `<tspan font-weight="600">split: %v</tspan><tspan fill="%s" dx="10">%s</tspan>`,
		r.mode, faint, about[r.mode])
	p.rect(xs(float64(r.cut)), top, xs(float64(r.heal))-xs(float64(r.cut)), plot, cutShade)
	for _, y := range []float64{0, quota, 2 * quota} {
		p.line(left, ys(y), left+plotW, ys(y), grid, "")
		p.text(left-8, ys(y)+4, "end", faint, 12, "", "%.0f", y)
	}
	p.text(0, 0, "middle", faint, 12, fmt.Sprintf(` transform="translate(20 %.1f) rotate(-90)"`, top+plot/2), "admitted per second")
	p.bars(r, xs, ys)
	p.line(left, ys(quota), left+plotW, ys(quota), red, dashed)
	p.line(left, ys(0), left+plotW, ys(0), faint, "")
	for s := 0; s <= len(r.seconds); s += 4 {
		p.line(xs(float64(s)), ys(0), xs(float64(s)), ys(0)+4, faint, "")
	}
	for _, m := range []struct {
		at     float64
		name   string
		anchor string
		dx     float64
		more   string
	}{
		{float64(r.cut), "cut", "end", -4, ` stroke-width="1.5"`},
		{r.noticed, "noticed", "start", 4, ` stroke-dasharray="2 3"`},
		{float64(r.heal), "heal", "end", -4, ` stroke-width="1.5"`},
		{r.whole, "whole again", "start", 4, ` stroke-dasharray="2 3"`},
	} {
		p.line(xs(m.at), top-2, xs(m.at), ys(0), ink, m.more)
		p.text(xs(m.at)+m.dx, top-7, m.anchor, ink, 11, "", "%s", m.name)
	}
}

// times writes the axis of time below the last panel.
func (p *picture) times(seconds int, y float64) {
	for s := 0; s <= seconds; s += 4 {
		p.text(left+plotW*float64(s)/float64(seconds), y+17, "middle", faint, 12, "", "%d", s)
	}
}

// bars stacks what the two sides admitted in each second.
func (p *picture) bars(r result, xs, ys func(float64) float64) {
	for s, got := range r.seconds {
		w := (xs(1) - xs(0)) * barPart
		x, base := xs(float64(s)+0.5)-w/2, 0.0
		for side, n := range got {
			if n > 0 {
				p.rect(x, ys(base+float64(n)), w, ys(base)-ys(base+float64(n)), sideColour[side])
			}
			base += float64(n)
		}
	}
}
