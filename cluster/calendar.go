package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// Limits that are aligned to the calendar. Which day it is, the nodes agree on (ctime.Wall): so they
// are all in the same day, also one whose own wall clock is wrong, and that one says so in its log. Here
// an aligned limit becomes a plain one, before anything is sent, leased or counted.

// takeAligned is take by the calendar, of what has been checked.
func (n *Node) takeAligned(ctx context.Context, key string, l limiter.Limit, cost int64, trial bool) (limiter.Decision, error) {
	n.calendar.Store(true)
	id, end, err := n.periodOf(key, &l, 0)
	if err != nil {
		return limiter.Decision{}, err
	}
	d, err := n.take(ctx, key, l, cost, trial, &id)
	if err == nil {
		(*ledger.Decision)(&d).Trim(max(1, end-n.clock.now()))
	}
	return d, err
}

// periodOf is the period of an aligned limit that w was in: its budget's id, and its end in cluster
// time. The limit becomes the plain one of the period.
func (n *Node) periodOf(key string, l *limiter.Limit, w limiter.Window) (id ledger.ID, end int64, err error) {
	zone, err := n.zones.Zone(l.Zone)
	if err != nil {
		return id, 0, fmt.Errorf("cluster: %w: Zone %q %w", limiter.ErrLimit, l.Zone, err)
	}
	at, ahead := n.clock.now(), int64(n.wall.Ahead())
	if w.End() != 0 {
		at = w.End() - int64(ledger.CalendarLead) - 1
	}
	first, last := ledger.Align(l.Align).Period(time.Unix(0, at+ahead), zone)
	start, end := first.UnixNano()-ahead, last.UnixNano()-ahead
	l.Align, l.Zone, l.Window = limiter.AlignNone, "", ledger.Tile(start, end)
	return ledger.Tiled(n.hasher.ID(key, l.Window, ledger.FixedWindow), l.Window, end), end, nil
}

// wallAhead is what this node's wall clock is ahead of cluster time.
func (n *Node) wallAhead() time.Duration {
	return time.Duration(n.clock.wallRead().UnixNano() - n.clock.now())
}

// lookAtWall judges all wall clocks, if this node is the reference and hears all nodes. It says where
// days, weeks and months are moved, and when this node's wall clock is not the one by which they begin,
// and when it is again. Only the loop calls it.
func (n *Node) lookAtWall(v *view) {
	own := n.wallAhead()
	if clocks, all := n.wallClocks(v); all && n.wall.Judge(append(clocks, own)) && n.calendar.Load() {
		n.log.Warn("days, weeks and months are moved: most wall clocks say so", "ahead", n.wall.Ahead())
	}
	off := own - n.wall.Ahead()
	if wrong := off.Abs() > ctime.WallOff; wrong == n.wallWrong || !n.calendar.Load() {
		return
	}
	if n.wallWrong = !n.wallWrong; n.wallWrong {
		n.log.Warn("this node's wall clock is wrong: days, weeks and months begin by that of the others", "ahead", off.Round(time.Second))
	} else {
		n.log.Info("this node's wall clock is that of the others again")
	}
}

// wallClocks are the wall clocks of the others. all says that there is nobody else, and that this
// node is the one to judge them.
func (n *Node) wallClocks(v *view) (clocks []time.Duration, all bool) {
	for _, p := range v.all {
		wall, told := p.time.Wall()
		if _, born := p.time.Born(); !told || !born || p.down.Load() {
			return nil, false
		}
		clocks = append(clocks, wall)
	}
	return clocks, v.sets.Whole() && n.reference(v) == nil
}
