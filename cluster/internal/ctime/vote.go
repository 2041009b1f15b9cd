package ctime

import (
	"slices"
	"time"
)

// Whose time is right, where nodes differ by more than can be slewed. One node alone does not move
// the others, whatever it says of its life and of the time: those that agree go by how many they
// are, and only between as many and as many the longest-lived decides, as where two clusters meet
// that began apart.

const apart = 5 * time.Millisecond // by which clocks that follow each other differ

// Voice is what one node's clock says, to another one.
type Voice struct {
	Life
	Off    time.Duration // by how much cluster time here should be later, by that clock
	Unsure time.Duration // how well that is known
	Silent bool          // it does not answer now: it counts, and is not followed
}

// agrees says whether two clocks have the same time.
func (v *Voice) agrees(u *Voice) bool {
	return (v.Off - u.Off).Abs() < StepOver+v.Unsure+u.Unsure
}

// Elect picks whose clock this node follows: of those whose time most have, this node among them,
// the longest-lived that is not apart from the middle of them. It returns its index, or -1 where
// this node follows nobody. alone says that most others do not say what that one says.
func Elect(self string, others []Voice) (ref int, alone bool) {
	all, most := append([]Voice{{Life: Life{Name: self}}}, others...), 0
	count := make([]int, len(all))
	for i := range all {
		for j := range all {
			if all[i].agrees(&all[j]) {
				count[i]++
			}
		}
		most = max(most, count[i])
	}
	ref = -1
	for i := range all {
		if count[i] == most && !all[i].Silent && (ref < 0 || all[i].before(all[ref].Life)) && central(all, i) {
			ref = i
		}
	}
	if ref <= 0 { // itself, or nobody that answers
		return -1, false
	}
	return ref - 1, !backed(all, ref)
}

// central says whether a clock is near the middle of those that have its time.
func central(all []Voice, i int) bool {
	var offs []time.Duration
	unsure := all[i].Unsure
	for j := range all {
		if all[i].agrees(&all[j]) {
			offs, unsure = append(offs, all[j].Off), max(unsure, all[i].Unsure+all[j].Unsure)
		}
	}
	slices.Sort(offs)
	low, high := offs[(len(offs)-1)/2], offs[len(offs)/2]
	return all[i].Off >= low-apart-unsure && all[i].Off <= high+apart+unsure
}

// backed says whether most of the others are nearer to what one says than to what this node takes
// for the time.
func backed(all []Voice, ref int) bool {
	near, n := 0, 0
	for i := 1; i < len(all); i++ {
		if i == ref || !all[i].agrees(&all[ref]) {
			continue
		}
		n++
		if (all[i].Off - all[ref].Off).Abs() <= all[i].Off.Abs() {
			near++
		}
	}
	return n > 0 && 2*near >= n
}

// before says whether a node has lived longer than another. Lives that are nearly equal go by name.
func (l Life) before(o Life) bool {
	older := l.Born < o.Born-tieWithin
	return older || l.Born < o.Born+tieWithin && l.Name < o.Name
}
