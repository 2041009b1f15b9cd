package quorum

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// VotersMax is how many voters there can be. More make takes slower, not safer.
const VotersMax = 9

// List is the names of the voters. The zero value has none: then there is no majority.
type List struct {
	names []string
	marks []uint64 // of each
}

// NewList makes a list of names, whose order does not count.
func NewList(names []string) (List, error) {
	l := List{names: slices.Sorted(slices.Values(names))}
	names = l.names
	if len(names) > VotersMax {
		return List{}, fmt.Errorf("has %d names, more than %d", len(names), VotersMax)
	}
	for i, name := range names {
		if name == "" || i > 0 && name == names[i-1] {
			return List{}, fmt.Errorf("has %q twice, or empty", name)
		}
		l.marks = append(l.marks, Mark(name))
	}
	return l, nil
}

// Mark is a short form of a name.
func Mark(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// Marks are short forms of the names, in their order. They must not be changed.
func (l List) Marks() []uint64 { return l.marks }

// Names are the names, in order. They must not be changed.
func (l List) Names() []string { return l.names }

// Len is how many there are.
func (l List) Len() int { return len(l.names) }

// Index is the place of a name, or -1.
func (l List) Index(name string) int { return slices.Index(l.names, name) }

// Majority is how many voters are more than half of them.
func (l List) Majority() int { return len(l.names)/2 + 1 }

// Place is the place of a name in its short form, or -1.
func (l List) Place(mark uint64) int { return slices.Index(l.marks, mark) }

// Meets says whether any majority of this list shares a voter with any of another one,
// whose short form is given: they are equal, or one has one name more.
func (l List) Meets(marks []uint64) bool {
	few, many := l.marks, marks
	if len(few) > len(many) {
		few, many = many, few
	}
	if len(few) == 0 || len(many)-len(few) > 1 {
		return false
	}
	for _, m := range few {
		if !slices.Contains(many, m) {
			return false
		}
	}
	return true
}
