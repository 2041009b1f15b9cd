package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
)

// A denial is remembered where it is known for when it was true: not if the answer took long, by
// what was measured of its giver, nor if too little was.
func TestRemember(t *testing.T) {
	const ms = time.Millisecond
	n := startNodes(t, 1, nil)[0]
	require.Eventually(t, func() bool { return n.clock.age() > 400*ms }, time.Minute, ms, "older than all that it was asked")
	for name, c := range map[string]struct {
		answers int
		each    time.Duration
		took    time.Duration
		is      bool
	}{
		"a short wire":                            {20, ms, ms, true},
		"a short wire, held up a little":          {20, ms, 60 * ms, true},
		"a short wire, held up":                   {20, ms, 110 * ms, false},
		"a long wire":                             {20, 200 * ms, 210 * ms, true},
		"a long wire, held up":                    {20, 200 * ms, 310 * ms, false},
		"one answer, a quick one":                 {1, ms, ms, true},
		"one answer, which may have been held up": {1, 200 * ms, 101 * ms, false},
		"no answer yet":                           {0, 0, 101 * ms, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &peer{}
			for range c.answers {
				p.pace.Measure(c.each, n.cfg.CallTimeout)
			}
			l := limiter.Per(1, time.Hour)
			r := round{n: n, by: p, v: n.view.Load(), began: n.clock.age() - c.took, c: &takeCall{Take: wire.Take{ID: n.id(name, &l), Limit: l, Cost: 1}}}
			n.remember(&r, limiter.Decision{ResetAfter: time.Hour, RetryAfter: time.Hour})
			_, is, _ := n.near.Take(r.c.ID, &l, 1, n.clock.age(), r.v.serial)
			require.Equal(t, c.is, is)
		})
	}
}
