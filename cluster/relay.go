package cluster

import (
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// relayPause is how long a peer that could not reach who decides for a partition is not asked
// for that partition again.
const relayPause = 500 * time.Millisecond

// relays is for which partitions a peer need not be asked for a while, since it reaches nobody
// else there either. For each one by itself: it may hold one of them, and then whoever does not
// ask it and decides alone admits a part of the budget a second time.
type relays struct {
	until atomic.Pointer[[ledger.Partitions]atomic.Int64] // ages; nil as long as it never failed
}

// paused says whether a partition's pause lasts at an age.
func (r *relays) paused(part int, age int64) bool {
	p := r.until.Load()
	return p != nil && p[part].Load() > age
}

// pause begins a pause.
func (r *relays) pause(part int, age int64) {
	p := r.until.Load()
	if p == nil {
		r.until.CompareAndSwap(nil, new([ledger.Partitions]atomic.Int64))
		p = r.until.Load()
	}
	p[part].Store(age + int64(relayPause))
}
