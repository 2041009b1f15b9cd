package ledger

import (
	"sync"
	"sync/atomic"
	"time"
)

// Holds is what was taken on trial and neither kept nor given back yet. Who takes from
// several budgets at once, all or nothing, takes from each on trial: what is counted
// then may be back in a moment. Somebody who is denied because of it must not be told
// to come back when the window ends, and nobody may remember the denial.
//
// It belongs to whoever decides, beside the ledger: holds are not part of a slot and do
// not travel. A hold that is never settled, since its process died, ends after holdMax.
// The zero value is ready. It is safe for concurrent use.
type Holds struct {
	n      atomic.Int64 // budgets in all shards
	shards [holdShards]holdShard
}

type holdShard struct {
	mu    sync.Mutex
	held  map[ID]hold
	swept int64    // when room was last looked for
	_     [40]byte // neighbours do not slow each other down
}

// hold is the sum of all that is held of one budget.
type hold struct {
	cost int64
	to   int64 // when it ends, unless something more is held
}

const (
	holdShards = 16
	holdsMost  = 4096                   // budgets of a shard; what is beyond counts as kept at once
	holdMax    = int64(2 * time.Second) // longer than a question to any node takes
	holdRetry  = 10 * time.Millisecond  // the wait that a denial names which a hold caused
)

func (h *Holds) shard(id ID) *holdShard { return &h.shards[id.Lo%holdShards] }

// Begin notes a take on trial. It comes before the take is counted, so that who is
// denied because of it finds it here. A look holds nothing.
func (h *Holds) Begin(id ID, cost, now int64) {
	if cost == 0 {
		return
	}
	s := h.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.held[id]
	if !ok {
		if len(s.held) >= holdsMost && !h.expire(s, now) {
			return
		}
		if s.held == nil {
			s.held = make(map[ID]hold)
		}
		h.n.Add(1)
	}
	if x.to < now {
		x.cost = 0
	}
	s.held[id] = hold{x.cost + cost, now + holdMax}
}

// End notes that a take on trial was kept, given back, or denied.
func (h *Holds) End(id ID, cost int64) {
	s := h.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.held[id]
	if !ok {
		return
	}
	if x.cost -= cost; x.cost > 0 {
		s.held[id] = x
		return
	}
	delete(s.held, id)
	h.n.Add(-1)
}

// Settle completes the decision about a take, on trial or not, whose Begin came before.
// A denial is tentative if what is held would suffice.
func (h *Holds) Settle(d *Decision, id ID, l *Limit, cost, now int64, trial bool) {
	switch {
	case d.Allowed && trial && cost > 0:
		d.Window = NameWindow(id, l, now, true)
		return
	case d.Allowed:
		return
	case trial && cost > 0:
		h.End(id, cost)
	}
	if h.n.Load() == 0 {
		return
	}
	s := h.shard(id)
	s.mu.Lock()
	x := s.held[id]
	s.mu.Unlock()
	if x.cost > 0 && x.to >= now && d.Remaining+x.cost >= max(1, cost) {
		d.Tentative, d.RetryAfter = true, min(d.RetryAfter, holdRetry)
	}
}

// expire makes room where what is held was never settled, if it has not just tried.
func (h *Holds) expire(s *holdShard, now int64) bool {
	if d := now - s.swept; d >= 0 && d < holdMax/16 {
		return false
	}
	s.swept = now
	for id, x := range s.held {
		if x.to < now {
			delete(s.held, id)
			h.n.Add(-1)
		}
	}
	return len(s.held) < holdsMost
}
