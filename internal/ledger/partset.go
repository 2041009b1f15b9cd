package ledger

import (
	"iter"
	"math/bits"
	"sync/atomic"
)

// PartitionSet is a set of partitions that may be read while it changes.
type PartitionSet [(Partitions + 63) / 64]atomic.Uint64

// Has says whether a partition is in the set.
func (s *PartitionSet) Has(part int) bool { return s[part/64].Load()&(1<<(part%64)) != 0 }

// Len is how many partitions are in the set.
func (s *PartitionSet) Len() (n int) {
	for i := range s {
		n += bits.OnesCount64(s[i].Load())
	}
	return n
}

// All goes through the set, in order. What changes meanwhile may be missed.
func (s *PartitionSet) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range s {
			for w := s[i].Load(); w != 0; w &= w - 1 {
				if !yield(64*i + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// set puts a partition into the set or takes it out. The partition's lock is held.
func (s *PartitionSet) set(part int, in bool) {
	bit := uint64(1) << (part % 64)
	switch was := s.Has(part); {
	case in && !was:
		s[part/64].Or(bit)
	case !in && was:
		s[part/64].And(^bit)
	}
}
