package main

import (
	"bytes"
	"fmt"
	"time"
)

// The chart's measures, in pixels.
const (
	width  = 880
	left   = 60 // of the plots
	right  = 28
	header = 72
	gap    = 40 // above each plot, for its heading
	plot   = 92
	footer = 52
	plotW  = width - left - right
)

// Colours on a card of its own, so that it reads alike on light and on dark pages.
const (
	card    = "#ffffff"
	ink     = "#1f2933"
	faint   = "#5b6773"
	grid    = "#e3e7eb"
	refused = "#d5dae0"
	taken   = "#2a6db0"
	red     = "#b3261e"
)

// chart is an SVG in the making.
type chart struct{ bytes.Buffer }

func (c *chart) line(x1, y1, x2, y2 float64, colour, more string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"%s/>`+"\n", x1, y1, x2, y2, colour, more)
}

func (c *chart) rect(x, y, w, h float64, colour string) {
	fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, h, colour)
}

// text writes at a baseline; anchor is start, middle or end.
func (c *chart) text(x, y float64, anchor, colour string, size int, more, format string, args ...any) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" font-size="%d"%s>%s</text>`+"\n",
		x, y, anchor, colour, size, more, fmt.Sprintf(format, args...))
}

// picture has one panel per limit, one below the other on one axis of time.
func picture(t traffic) ([]byte, error) {
	height := header + len(limits)*(gap+plot) + footer
	c := &chart{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" `+
		`font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">`+"\n", width, height, width, height)
	fmt.Fprintf(c, "<title>%s</title>\n", t.title)
	fmt.Fprintf(c, `<rect x="0.5" y="0.5" width="%d" height="%d" rx="10" fill="%s" stroke="#cfd6dd"/>`+"\n", width-1, height-1, card)
	c.text(left, 32, "start", ink, 17, ` font-weight="600"`, "%s", t.title)
	c.legend(left, 58)
	for i, l := range limits {
		at, err := admitted(t, l.limit)
		if err != nil {
			return nil, err
		}
		c.panel(t, l.code, at, float64(header+i*(gap+plot)+gap))
	}
	bottom := float64(height - footer)
	for s := 0; s <= t.seconds; s += 10 {
		c.text(left+plotW*float64(s)/float64(t.seconds), bottom+18, "middle", faint, 12, "", "%d", s)
	}
	c.text(left+plotW/2, bottom+38, "middle", faint, 12, "", "seconds")
	c.WriteString("</svg>\n")
	return c.Bytes(), nil
}

func (c *chart) legend(x, y float64) {
	for _, l := range []struct{ colour, name string }{{taken, "admitted"}, {refused, "refused"}} {
		c.rect(x, y-10, 12, 12, l.colour)
		c.text(x+18, y, "start", ink, 12, "", "%s", l.name)
		x += 96
	}
	c.line(x+6, y-11, x+6, y+3, red, dashed)
	c.text(x+18, y, "start", ink, 12, "", "a fixed or sliding window begins")
}

const dashed = ` stroke-width="1.5" stroke-dasharray="5 3"`

// panel draws what one limit admitted; top is the upper edge of its plot.
func (c *chart) panel(t traffic, code string, at []time.Duration, top float64) {
	high := float64(t.rate * t.bar)
	xs := func(second float64) float64 { return left + plotW*second/float64(t.seconds) }
	ys := func(n float64) float64 { return top + plot*(1-n/high) }

	c.text(left, top-10, "start", ink, 14, ` font-weight="600"`, "%s", code)
	c.text(left+plotW, top-10, "end", ink, 13, "", "at most %d within 10 s, %d within 60 s", most(at, 10*time.Second), most(at, time.Minute))
	for _, y := range []float64{0, high / 2, high} {
		c.line(left, ys(y), left+plotW, ys(y), grid, "")
		c.text(left-8, ys(y)+4, "end", faint, 12, "", "%.0f", y/float64(t.bar))
	}
	c.text(0, 0, "middle", faint, 12, fmt.Sprintf(` transform="translate(22 %.1f) rotate(-90)"`, top+plot/2), "per second")
	got := make([]int, t.seconds/t.bar)
	for _, d := range at {
		got[int(d/time.Second)/t.bar]++
	}
	w := xs(float64(t.bar)) - xs(0)
	for i, n := range got {
		if !t.sends(i * t.bar) {
			continue
		}
		x := xs(float64(i*t.bar)) + w*0.09
		c.rect(x, ys(high), w*0.82, ys(float64(n))-ys(high), refused)
		c.rect(x, ys(float64(n)), w*0.82, ys(0)-ys(float64(n)), taken)
	}
	if code[0] != 'B' {
		for s := 60; s < t.seconds; s += 60 {
			c.line(xs(float64(s)), top-4, xs(float64(s)), ys(0), red, dashed)
		}
	}
	c.line(left, ys(0), left+plotW, ys(0), faint, "")
}
