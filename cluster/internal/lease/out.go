package lease

import (
	"slices"

	"github.com/weir-go/weir/internal/ledger"
)

// What is handed out of one budget, for who wants to know it or to begin anew.

// Slices are what processes were handed last of a budget.
func (s *Lessor[P]) Slices(id ledger.ID) map[P]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.out[id]
	if x == nil {
		return nil
	}
	all := make(map[P]int64, len(x.to))
	for _, t := range x.to {
		all[t.to] = t.slice
	}
	return all
}

// Settled calls f while nothing of a budget is handed out, so that nothing is meanwhile. What
// processes have that cannot be reached does not count as handed out any more. It returns false,
// and does not call f, where something is to be called back first, or is on its way.
func (s *Lessor[P]) Settled(id ledger.ID, reached func(P) bool, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.out[id]; x != nil {
		if slices.ContainsFunc(x.to, func(t loan[P]) bool { return t.state == recalled || t.state == lent && reached(t.to) }) {
			return false
		}
		x.to = nil
		s.tidy(x)
	}
	f()
	return true
}
