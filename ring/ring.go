// Package ring is a part of package cluster, not for direct use: it places partitions on
// the members.
//
// [New] takes the members' names, builds a consistent-hash ring with bounded loads
// (Mirrokni, Thorup and Zadimoghaddam, 2016, as github.com/buraksezer/consistent
// implements it), copies the owner of every partition into an immutable [Table],
// and throws the ring away. All nodes that know the same members have the same
// table, in whatever order they learned of them; a golden file pins it. Reading a
// table takes no lock.
//
// The successor of a partition is who would own it if its owner were gone: the
// owner in a ring without the owner. It is not the next member on the ring, which
// with bounded loads is the next owner only by chance.
package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/buraksezer/consistent"
	"github.com/dchest/siphash"
)

// What two nodes must agree on, so constants and not settings.
const (
	// Partitions is the number of partitions.
	Partitions = 1021
	// Ranks is how many holders a partition can have: its owner and two successors.
	Ranks = 3
	// Scheme names everything that placement depends on. Nodes of different
	// schemes must refuse each other.
	Scheme = "consistent-1.0.0 siphash-2-4 p=1021 r=20 l=1.25"

	replicas = 20
	load     = 1.25
)

// ErrMembers is wrapped by New's errors about a list of members.
var ErrMembers = errors.New("invalid members")

// Table says which members hold which partition. It never changes and is safe for
// concurrent use. Members are named by their index in Members.
type Table struct {
	members     []string
	owners      [Partitions]uint16
	successors  [Partitions]int16        // or none
	seconds     [Partitions]atomic.Int32 // the successors' successors, as far as they were asked for: see second
	fingerprint uint64
	place       placement // read only
}

// New builds the table of some members, in any order.
func New(members []string) (*Table, error) {
	if len(members) == 0 || len(members) >= Partitions {
		return nil, fmt.Errorf("ring: %w: their number %d is not within 1 to %d", ErrMembers, len(members), Partitions-1)
	}
	sorted := slices.Sorted(slices.Values(members))
	for i, m := range sorted {
		if m == "" {
			return nil, fmt.Errorf("ring: %w: a name is empty", ErrMembers)
		}
		if i > 0 && sorted[i-1] == m {
			return nil, fmt.Errorf("ring: %w: the name %q is there twice", ErrMembers, m)
		}
	}
	return build(sorted)
}

// member is a name on the ring. The mark at its end keeps the library from mixing
// up the replicas of "node1" and "node11".
type member string

func (m member) String() string { return string(m) + "#" }

// hasher is the ring's hash: the same on all nodes and for ever.
type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return siphash.Hash(0x7765697220726e67, 1, b) }

// build places the partitions. The library panics where it finds no room; what it
// panics with becomes an error, and the caller keeps its old table.
func build(sorted []string) (t *Table, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("ring: placing %d members: %v", len(sorted), p)
		}
	}()
	ms := make([]consistent.Member, len(sorted))
	index := make(map[string]uint16, len(sorted))
	for i, m := range sorted {
		ms[i] = member(m)
		index[member(m).String()] = uint16(i)
	}
	r := consistent.New(ms, consistent.Config{
		Hasher: hasher{}, PartitionCount: Partitions, ReplicationFactor: replicas, Load: load,
	})
	t = &Table{members: sorted}
	for p := range t.owners {
		t.owners[p] = index[r.GetPartitionOwner(p).String()]
	}
	t.place.ring = points(sorted)
	t.place.starts = starts(t.place.ring)
	t.succeed()
	b := []byte(Scheme)
	for _, m := range sorted {
		b = binary.AppendUvarint(b, uint64(len(m)))
		b = append(b, m...)
	}
	t.fingerprint = hasher{}.Sum64(b)
	return t, nil
}

// Members are the names, sorted. The caller must not change them.
func (t *Table) Members() []string { return t.members }

// Index is the index of a member, or -1.
func (t *Table) Index(name string) int {
	if i, ok := slices.BinarySearch(t.members, name); ok {
		return i
	}
	return -1
}

// Fingerprint stands for the scheme and the members.
func (t *Table) Fingerprint() uint64 { return t.fingerprint }

// Owner is the member that owns a partition.
func (t *Table) Owner(part int) int { return int(t.owners[part]) }

// succeed works out the successors: who owns what in each ring without one member.
func (t *Table) succeed() {
	d := t.place
	d.loads = make([]uint16, len(t.members))
	for p := range t.successors {
		t.successors[p] = none
	}
	for gone := range t.members {
		d.without(len(t.members), gone, none, func(part, owner int) {
			if int(t.owners[part]) == gone {
				t.successors[part] = int16(owner)
			}
		})
	}
}

// Holder is the member of a rank of a partition, or -1 if there are too few: rank 0
// is the owner, rank 1 who would own it without the owner, rank 2 who would own it
// without these two.
func (t *Table) Holder(part, rank int) int {
	switch rank {
	case 0:
		return t.Owner(part)
	case 1:
		return int(t.successors[part])
	case 2:
		return t.second(part)
	}
	return none
}

// second is the holder of rank 2. Of the many pairs of members few own something one
// after the other, so the ring without a pair is worked out when it is first asked for.
// Who asks at the same time does the same work.
func (t *Table) second(part int) int {
	if known := t.seconds[part].Load(); known != 0 {
		return int(known) - 2
	}
	owner, next, found := t.owners[part], t.successors[part], none
	if next != none {
		d := t.place
		d.loads = make([]uint16, len(t.members))
		d.without(len(t.members), int(owner), int(next), func(p, second int) {
			if t.owners[p] == owner && t.successors[p] == next {
				t.seconds[p].Store(int32(second) + 2) // 0 is not known
			}
			if p == part {
				found = second
			}
		})
	}
	t.seconds[part].Store(int32(found) + 2)
	return found
}
