package cluster

import "time"

// A reading of another node's clock is wrong by half of its round trip at most, and by
// what clocks have drifted since. So of the last few the best one is used, as NTP does it:
// one slow answer says little, and where all are slow, that is how well the time is known.

const (
	looksMax = 8 // readings kept of a peer's clock

	driftShare = slewShare // what a reading loses with age: as much as slewing could make up for
)

// look is one reading of a peer's clock, as differences to this node's age.
type look struct {
	want int64         // cluster time there, less this node's age
	born time.Duration // this node's age when the peer's process began
	at   time.Duration // this node's age
	rtt  time.Duration // of the call
}

// looks are the last readings of a peer's clock. One call at a time adds to it.
type looks struct {
	last [looksMax]look
	n    int // how many there have been
}

// unsure is by how much a reading may be wrong, at an age.
func (l look) unsure(age time.Duration) time.Duration { return l.rtt/2 + (age-l.at)/driftShare }

// add adds a reading and returns the best. One that cannot be of the same clocks as the
// others, since one of the two has jumped, is the first of new ones.
func (ls *looks) add(l look) look {
	best := l
	for _, o := range ls.last[:min(ls.n, looksMax)] {
		apart := max(time.Duration(l.want-o.want).Abs(), (l.born - o.born).Abs())
		if apart > l.unsure(l.at)+o.unsure(l.at)+tieWithin {
			ls.n, best = 0, l
			break
		}
		if o.unsure(l.at) < best.unsure(l.at) {
			best = o
		}
	}
	ls.last[ls.n%looksMax] = l
	ls.n++
	return best
}
