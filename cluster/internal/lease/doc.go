// Package lease is what nodes decide without a call: what was denied a moment ago, and what
// was handed to them to spend. It makes no call and reads no clock: ages and answers are
// arguments, what is to be sent is a result.
//
// A node that takes much from a budget that another one holds is handed slices of it. A slice
// is counted as spent when it is handed out, in the ledger, so that nothing is admitted
// twice, whatever happens to either node. Before a budget is denied, and before its partition
// changes hands, what is unspent is called back; also what has not been added to for a while.
// So what leases can withhold is what nodes had that died or cannot be reached, and no longer
// than for the window. A slice is small against what is left, so takes near the end of a
// budget are exact ones. What a lessee cannot give to who handed it out its node puts into
// its own slots.
//
// The [Lessor] hands out; the [Table] is the other side, the lessee's, and remembers denials.
// Any message between the two may get lost: an ask has a number, and asked again it brings
// the same slice; a recall names the last ask, and repeated it gets the same answer; and an
// ask that a recall has given up brings nothing any more.
package lease

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/limiter"
)

const (
	leaseMin     = 8    // smaller slices are not worth it: near the end of a budget takes are exact
	leasesMax    = 4096 // budgets that are leased at a time
	leaseIdle    = 300 * time.Millisecond
	slidingLead  = 250 * time.Millisecond // before the end of a sliding window: what is unspent must be back in it
	leaseHolders = 2                      // a slice is at most what is left ÷ (leaseHolders × nodes)
)

// tokens is what a bucket lacks that will be full after a time: where its owner counts as
// many as spent, just as many may be spent elsewhere.
func tokens(ns int64, l *limiter.Limit) int64 { return max(0, (ns+refill(l)-1)/refill(l)) }

// refill is the time in which a token bucket gets one token.
func refill(l *limiter.Limit) int64 { return wire.Budget(l).Interval() }
