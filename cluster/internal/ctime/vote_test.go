package ctime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestElect(t *testing.T) {
	voice := func(name string, older, off time.Duration) Voice {
		return Voice{Life: Life{name, -older}, Off: off, Unsure: 10 * ms}
	}
	quiet := func(v Voice) Voice { v.Silent = true; return v }
	const h = time.Hour
	for _, c := range []struct {
		says   string
		others []Voice
		ref    int
		alone  bool
	}{
		{"nobody else is there", nil, -1, false},
		{"two that meet: the older one", []Voice{voice("a", h, h)}, 0, true},
		{"two that meet: this one is older", []Voice{voice("a", -h, h)}, -1, false},
		{"one of three, and older than all", []Voice{voice("a", 9*h, h), voice("b", -h, 0)}, -1, false},
		{"the same, and another is older here", []Voice{voice("a", 9*h, h), voice("b", h, 0)}, 1, true},
		{"this one is the one that is wrong, and older", []Voice{voice("a", -h, h), voice("b", -2*h, h)}, 0, false},
		{"two and two: the oldest", []Voice{voice("a", h, h), voice("b", 2*h, h), voice("c", -h, 0)}, 1, false},
		{"the oldest does not answer", []Voice{quiet(voice("a", h, 0)), voice("b", h/2, 0)}, 1, false},
		{"who does not answer counts", []Voice{quiet(voice("a", -h, 0)), voice("b", h, h)}, -1, false},
		{"the oldest runs away", []Voice{voice("a", h, 100*ms), voice("b", -h, 0)}, -1, false},
		{"and is this one", []Voice{voice("a", -h, -100*ms), voice("b", -2*h, -100*ms)}, 0, false},
		{"nearly as it should be", []Voice{voice("a", h, 15*ms), voice("b", -h, 0)}, 0, true},
		{"as all others say", []Voice{voice("a", h, 15*ms), voice("b", -h, 12*ms)}, 0, false},
	} {
		ref, alone := Elect("m", c.others)
		require.Equal(t, c.ref, ref, c.says)
		require.Equal(t, c.alone, alone, c.says)
	}
}

// One alone moves a clock by what was there when they met, and by what drifts.
func TestOneAloneMovesLittle(t *testing.T) {
	for _, alone := range []bool{true, false} {
		var c Clock
		c.Begin(0)
		c.Alone(alone)
		for range 10 * 60 { // ten minutes
			c.Follow(Reading{Want: c.At(0) + int64(200*ms)})
			c.Slew(time.Second)
		}
		want := 6 * time.Second
		if alone {
			want = StepOver + 10*time.Minute/driftMost
		}
		require.InDelta(t, want, c.At(0), float64(ms), "alone: %v", alone)
	}
}
