package ctime

import "time"

// A reading of another node's clock is wrong by half of its round trip at most, and by what
// clocks have drifted since. So of the last few the best one is used, as NTP does it: one
// slow answer says little, and where all are slow, that is how well the time is known.

const (
	readingsMax = 8 // kept of a peer's clock

	driftShare = slewShare // what a reading loses with age: as much as slewing could make up for
)

// Reading is what a peer said of its clock, as differences to this node's age.
type Reading struct {
	Want int64         // cluster time there, less this node's age
	Born time.Duration // this node's age when the peer's process began
	At   time.Duration // this node's age
	Trip time.Duration // of the call
}

// Read makes a reading of an answer to a call that began and ended at two ages of this node:
// how long the peer had lived, and what cluster time was there.
func Read(began, ended, lived time.Duration, now int64) Reading {
	trip := ended - began
	at := began + trip/2
	return Reading{Want: now - int64(at), Born: at - lived, At: at, Trip: trip}
}

// readings are the last ones of a peer's clock.
type readings struct {
	last [readingsMax]Reading
	n    int // how many there have been
}

// unsure is by how much a reading may be wrong, at an age.
func (r Reading) unsure(age time.Duration) time.Duration { return r.Trip/2 + (age-r.At)/driftShare }

// add adds a reading and returns the best. One that cannot be of the same clocks as the
// others, since one of the two has jumped, is the first of new ones.
func (rs *readings) add(r Reading) Reading {
	best := r
	for _, o := range rs.last[:min(rs.n, readingsMax)] {
		apart := max(time.Duration(r.Want-o.Want).Abs(), (r.Born - o.Born).Abs())
		if apart > r.unsure(r.At)+o.unsure(r.At)+tieWithin {
			rs.n, best = 0, r
			break
		}
		if o.unsure(r.At) < best.unsure(r.At) {
			best = o
		}
	}
	rs.last[rs.n%readingsMax] = r
	rs.n++
	return best
}
