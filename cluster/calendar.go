package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// Limits that are aligned to the calendar. Which day it is, cluster time says, which began as
// somebody's wall clock and is agreed on by all nodes: so they are all in the same day, also one
// whose own wall clock is wrong, and that one says so in its log. Here an aligned limit becomes a
// plain one, before anything is sent, leased or counted.

// wallOff is by how much a node's wall clock may differ from cluster time before it says so.
const wallOff = 2 * time.Second

// takeAligned is Take or Hold by the calendar.
func (n *Node) takeAligned(ctx context.Context, key string, l limiter.Limit, cost int64, trial bool) (limiter.Decision, error) {
	if err := limiter.Check(key, l, cost); err != nil {
		return limiter.Decision{}, err
	}
	n.calendar.Store(true)
	period := l
	_, end, err := n.periodOf(key, &period, 0)
	if err != nil {
		return limiter.Decision{}, err
	}
	d, err := n.take(ctx, key, l, cost, trial)
	if err == nil {
		(*ledger.Decision)(&d).Trim(max(1, end-n.clock.now()))
	}
	return d, err
}

// periodOf is the period of an aligned limit that w was in, by cluster time: its budget's id, and
// its end. The limit becomes the plain one of the period.
func (n *Node) periodOf(key string, l *limiter.Limit, w limiter.Window) (id ledger.ID, to int64, err error) {
	zone, err := n.zones.Zone(l.Zone)
	if err != nil {
		return id, 0, fmt.Errorf("cluster: %w: Zone %q %w", limiter.ErrLimit, l.Zone, err)
	}
	at := n.clock.now()
	if w.End() != 0 {
		at = w.End() - int64(ledger.CalendarLead) - 1
	}
	start, end := ledger.Align(l.Align).Period(time.Unix(0, at), zone)
	to = end.UnixNano()
	l.Align, l.Zone, l.Window = limiter.AlignNone, "", ledger.Tile(start.UnixNano(), to)
	return ledger.Tiled(n.hasher.ID(key, l.Window, ledger.FixedWindow), l.Window, to), to, nil
}

// lookAtWall says when this node's wall clock is not the one by which days begin and end, and when
// it is again. Only the loop calls it.
func (n *Node) lookAtWall() {
	if !n.calendar.Load() {
		return
	}
	off := time.Duration(n.clock.now() - n.clock.wallRead().UnixNano())
	switch wrong := off.Abs() > wallOff; {
	case wrong == n.wallWrong:
		return
	case wrong:
		n.log.Warn("days, weeks and months begin by the cluster's clock, which this node's is not", "node", n.cfg.Name, "ahead", off.Round(time.Millisecond))
	default:
		n.log.Info("this node's wall clock is the cluster's again", "node", n.cfg.Name)
	}
	n.wallWrong = !n.wallWrong
}
