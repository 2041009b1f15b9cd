package cluster

import (
	"time"

	"github.com/weir-go/weir/limiter"
)

// Overshoot is by how much more than l allows the nodes could admit, together, from one key's
// budget as things are now: the rows of the failure table that apply, as far as this node has
// noticed. It is 0 while all known nodes are there and answer.
//
// Under SplitFull each missing or unreachable node may be a side of its own, with all of the
// limit. Under SplitShare those that are missing cost their shares in windows that had begun
// when they vanished, and each unreachable one its share, since it may decide alone. Under
// SplitQuorum nothing. What is not in it: nodes that this one never knew or has forgotten
// (ForgetAfter; ExpectedNodes prevents both), what is not noticed yet (for how long, the
// documentation says), and what a node that crashed had admitted and not yet shipped, under
// SplitShare: that is what it admits in its Stats.Behind.
func (n *Node) Overshoot(l limiter.Limit) int64 {
	v, down := n.view.Load(), 0
	for _, p := range v.all {
		if p.down.Load() && !p.silent {
			down++
		}
	}
	return v.overshoot(n.mode(&l), &l, down, n.clock.age())
}

// overshoot is Overshoot in a view, at an age, where so many of its peers do not answer.
func (v *view) overshoot(mode limiter.Split, l *limiter.Limit, down int, age time.Duration) int64 {
	missing, known := int64(max(0, v.sets.Base-v.sets.With)), int64(max(1, v.sets.Base))
	down64 := min(int64(down), known-missing)
	switch most := l.Capacity(); mode {
	case limiter.SplitFull:
		return (missing + down64) * most
	case limiter.SplitShare:
		extra := down64 * (most / known) // shares are rounded down
		if v.wasCut && age-v.cutAt < lasts(l) {
			extra += most * missing / known
		}
		return extra
	}
	return 0
}

// lasts is how long what was admitted at one time counts against a limit, at most.
func lasts(l *limiter.Limit) time.Duration {
	switch {
	case l.Align == limiter.AlignMonth:
		return 31 * day
	case l.Align == limiter.AlignWeek:
		return 7 * day
	case l.Align != limiter.AlignNone:
		return day
	case l.Algorithm == limiter.SlidingWindow:
		return 2 * l.Window
	case l.Algorithm == limiter.TokenBucket:
		return time.Duration(float64(l.Window) * float64(l.Capacity()) / float64(l.Quota))
	}
	return l.Window
}

const day = 25 * time.Hour // the longest, when clocks are put back
