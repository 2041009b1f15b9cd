package ctime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestWall(t *testing.T) {
	const h, s = time.Hour, time.Second
	for _, c := range []struct {
		name   string
		was    time.Duration
		clocks []time.Duration
		want   time.Duration
	}{
		{"nobody", h, nil, h},
		{"alone, and right", 0, []time.Duration{s}, 0},
		{"alone, and its clock was set", 0, []time.Duration{h + s/3}, h},
		{"one of three is wrong", 0, []time.Duration{0, 3 * h, s}, 0},
		{"the reference is the one that is wrong", 0, []time.Duration{0, -3 * h, -3*h + s/4}, -3*h + 0*s},
		{"one of two: who knows which", 0, []time.Duration{0, 3 * h}, 0},
		{"one of two, later", 3 * h, []time.Duration{0, 3 * h}, 3 * h},
		{"both of two", h, []time.Duration{3 * h, 4 * h}, 3 * h},
		{"two of four", 0, []time.Duration{0, 0, h, h}, 0},
		{"three of four", 0, []time.Duration{0, h, h + s, h}, h},
		{"all by a little", 0, []time.Duration{9 * s, 9 * s, 9 * s}, 0},
		{"all by more", 0, []time.Duration{11 * s, 11 * s, 12 * s}, 11 * s},
		{"all in other directions", 0, []time.Duration{-h, 2 * h, 5 * h}, 2 * h},
	} {
		var w Wall
		w.Follow(c.was)
		changed := w.Judge(c.clocks)
		assert.InDelta(t, c.want, w.Ahead(), float64(s), c.name)
		assert.Equal(t, w.Ahead() != c.was, changed, c.name)
		assert.Zero(t, w.Ahead()%s, c.name)
		assert.False(t, w.Judge(c.clocks), "%s: it stays", c.name)
	}
}
