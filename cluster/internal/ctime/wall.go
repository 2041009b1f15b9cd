package ctime

import (
	"slices"
	"sync/atomic"
	"time"
)

// Which day it is. Cluster time began as somebody's wall clock, which may have been wrong. So the
// reference compares it with the wall clocks of all nodes, and if most of them say something else it
// says by how much days are ahead of cluster time. The others take that over as it is, to the
// nanosecond: nodes that differed would count one day in two budgets. Cluster time itself, and all
// windows that are no days, stay as they are.

// WallOff is by how much wall clocks may differ from that before they are wrong. Less is not worth
// it: when it changes, the budgets of the day begin anew.
const WallOff = 10 * time.Second

// Wall is by how much the wall clock that the nodes agree on is ahead of cluster time. The zero
// value is not at all. It is safe for concurrent use.
type Wall struct{ ahead atomic.Int64 }

// Ahead is by how much.
func (w *Wall) Ahead() time.Duration { return time.Duration(w.ahead.Load()) }

// Follow takes over what the reference says.
func (w *Wall) Follow(ahead time.Duration) { w.ahead.Store(int64(ahead)) }

// Judge is what the reference makes of the wall clocks of all nodes, its own among them, each as what
// it is ahead of cluster time. It stays with what it said, as long as that is not wrong by as many
// clocks as are right; else it follows those in the middle, in whole seconds. It returns
// whether that changed.
func (w *Wall) Judge(clocks []time.Duration) (changed bool) {
	if len(clocks) == 0 {
		return false
	}
	clocks = slices.Sorted(slices.Values(clocks))
	was := w.Ahead()
	low, high := clocks[(len(clocks)-1)/2], clocks[len(clocks)/2]
	now := min(max(was, low), high)
	if (now - was).Abs() <= WallOff {
		return false
	}
	w.Follow(now.Round(time.Second))
	return true
}
