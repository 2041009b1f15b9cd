package ring

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"sync"
)

// The successors of a cluster of a hundred are a hundred rings without one member each,
// and the library takes 14 ms for one of those. So who would own a partition without
// one or two members is worked out here, by the library's rule, on points that are
// sorted once: some 20 µs for a ring. A test holds the rule against the library.

// point is one replica of a member on the ring.
type point struct {
	hash   uint64
	member uint16
}

// points are the replicas of all members, in the order of the ring.
func points(members []string) []point {
	all := make([]point, 0, replicas*len(members))
	var b []byte
	for i, m := range members {
		for r := range replicas {
			b = append(strconv.AppendInt(b[:0], int64(r), 10), ':')
			b = append(b, member(m).String()...)
			all = append(all, point{hasher{}.Sum64(b), uint16(i)})
		}
	}
	slices.SortFunc(all, func(a, b point) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return int(a.member) - int(b.member)
	})
	return all
}

// hashes are the places of the partitions on any ring.
var hashes = sync.OnceValue(func() (h [Partitions]uint64) {
	var b [8]byte
	for p := range h {
		binary.LittleEndian.PutUint64(b[:], uint64(p))
		h[p] = hasher{}.Sum64(b[:])
	}
	return h
})

// starts are the points at which the search for each partition's owner begins.
func starts(ring []point) (s [Partitions]uint16) {
	for p, h := range hashes() {
		i, _ := slices.BinarySearchFunc(ring, h, func(a point, h uint64) int {
			if a.hash < h {
				return -1
			}
			return 1 // so that the first of equal ones is found
		})
		s[p] = uint16(i % len(ring))
	}
	return s
}

// none stands for no member.
const none = -1

// placement is the state of one distribution, for reuse.
type placement struct {
	ring   []point
	starts [Partitions]uint16
	loads  []uint16
}

// without distributes the partitions over all members but a and b, of which there are
// some, and calls owned with the owner of each. Each partition goes to the first member
// from its place on that is not full yet; there always is one, with a load above 1.
func (d *placement) without(members, a, b int, owned func(part, owner int)) {
	left := members - 1
	if b != none {
		left--
	}
	if left < 1 {
		return
	}
	full := uint16(math.Ceil(float64(Partitions) / float64(left) * load))
	clear(d.loads)
	d.loads[a] = full
	if b != none {
		d.loads[b] = full
	}
	for part, start := range d.starts {
		i := int(start)
		for d.loads[d.ring[i].member] >= full {
			if i++; i == len(d.ring) {
				i = 0
			}
		}
		owner := d.ring[i].member
		d.loads[owner]++
		owned(part, int(owner))
	}
}
