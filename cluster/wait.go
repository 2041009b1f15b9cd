package cluster

import (
	"sync"
	"sync/atomic"
	"time"
)

// How long to wait for whom. All waits for peers follow from what is measured of each:
// how long its answers take, and by how much that varies. CallTimeout is how much longer
// than that a peer may take.

const (
	waitMax    = 2 * time.Second // for one peer, unless CallTimeout is more
	waitFirst  = time.Second     // for one of which nothing is known yet, nor of others
	connectMax = 8 * time.Second // to be connected and introduced: more than the transport allows itself

	sampleEvery = 16 // takes, of which one is measured while a peer is steady
	greetTrips  = 6  // round trips to be connected, introduced and answered
)

// roundTrip is what is known of how long a peer takes to answer, as RFC 6298 has it. The
// zero value knows nothing.
type roundTrip struct {
	smooth, dev time.Duration
	least       time.Duration // the shortest, not long ago
	samples     int
}

// after is what is known after one more answer. No two can be mistaken for each other, so
// one that took longer than anybody would wait counts as well.
func (r roundTrip) after(took time.Duration) roundTrip {
	took = min(max(took, 1), time.Minute)
	if r.samples == 0 {
		return roundTrip{took, took / 2, took, 1}
	}
	r.dev += ((r.smooth - took).Abs() - r.dev) / 4
	r.smooth += (took - r.smooth) / 8
	r.least = min(took, r.least+(took-r.least)/256)
	r.samples++
	return r
}

// wait is how long to wait for an answer that the peer itself can give. least is what it
// may need beyond its round trip, so that a steady wire does not wait on the knife's edge.
// Of a peer that is not known yet, far is the longest round trip to others.
func (r roundTrip) wait(least, far time.Duration) time.Duration {
	most := max(waitMax, least)
	switch {
	case r.samples > 0:
		return min(r.smooth+max(4*r.dev, least), most)
	case far > 0:
		return min(greetTrips*far+least, most)
	}
	return max(waitFirst, least)
}

// steady says whether a few answers now and then tell enough.
func (r roundTrip) steady(least time.Duration) bool {
	return r.samples >= sampleEvery && 4*r.dev <= least
}

// spare is how much of the time left for an answer whoever asks others keeps for itself,
// to decide if they do not: half of what a peer may need beyond its round trip.
func spare(left, least time.Duration) time.Duration { return min(left, least) / 2 }

// pace is a roundTrip that is read at every take.
type pace struct {
	mu   sync.Mutex
	trip roundTrip

	wait, smooth, least atomic.Int64 // 0: nothing is known
	steady              atomic.Bool
}

// measure adds one answer, and returns the smoothed round trip before and after.
func (p *pace) measure(took, least time.Duration) (was, is time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, p.trip = p.trip.smooth, p.trip.after(took)
	p.wait.Store(int64(p.trip.wait(least, 0)))
	p.smooth.Store(int64(p.trip.smooth))
	p.least.Store(int64(p.trip.least))
	p.steady.Store(p.trip.steady(least))
	return was, p.trip.smooth
}

// measured notes how long a peer took to answer something that it can answer by itself.
func (n *Node) measured(p *peer, took time.Duration) {
	was, is := p.pace.measure(took, n.cfg.CallTimeout)
	switch far := time.Duration(n.far.Load()); {
	case is >= far:
		n.far.Store(int64(is))
	case was >= far: // it was the farthest
		for _, q := range n.view.Load().all {
			is = max(is, q.smooth())
		}
		n.far.Store(int64(is))
	}
}

// waitFor is how long to wait for an answer that p can give by itself.
func (n *Node) waitFor(p *peer) time.Duration {
	if w := p.pace.wait.Load(); w != 0 {
		return time.Duration(w)
	}
	return roundTrip{}.wait(n.cfg.CallTimeout, time.Duration(n.far.Load()))
}

// patience is how long to wait for an answer for which p may have to ask one more node;
// of nobody in particular, if p is nil.
func (n *Node) patience(p *peer) time.Duration {
	wait, far := n.cfg.CallTimeout, time.Duration(n.far.Load())
	if p != nil {
		wait = n.waitFor(p)
	} else {
		wait += far
	}
	return min(wait+far, max(waitMax, n.cfg.CallTimeout))
}

// oneWay is how long an answer of p was on its way at least.
func (p *peer) oneWay() time.Duration { return time.Duration(p.pace.least.Load()) / 2 }

// smooth is p's round trip, 0 if it is not known.
func (p *peer) smooth() time.Duration { return time.Duration(p.pace.smooth.Load()) }
