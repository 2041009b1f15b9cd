// Package wait is how long to wait for whom. All waits for peers follow from what is
// measured of each: how long its answers take, and by how much that varies. CallTimeout,
// here least, is how much longer than that a peer may take.
package wait

import (
	"sync"
	"sync/atomic"
	"time"
)

// Waits that do not follow a peer.
const (
	Max        = 2 * time.Second // for one peer, unless CallTimeout is more
	first      = time.Second     // for one of which nothing is known yet, nor of others
	ConnectMax = 8 * time.Second // to be connected and introduced: more than the transport allows itself

	SampleEvery = 16 // takes, of which one is measured while a peer is steady
	greetTrips  = 10 // round trips to be connected, introduced and answered: five, by one who may be twice as far
)

// RoundTrip is what is known of how long a peer takes to answer, as RFC 6298 has it. The
// zero value knows nothing.
type RoundTrip struct {
	smooth, dev time.Duration
	least       time.Duration // the shortest, not long ago
	samples     int
}

// After is what is known after one more answer. No two can be mistaken for each other, so
// one that took longer than anybody would wait counts as well.
func (r RoundTrip) After(took time.Duration) RoundTrip {
	took = min(max(took, 1), time.Minute)
	if r.samples == 0 {
		return RoundTrip{took, took / 2, took, 1}
	}
	r.dev += ((r.smooth - took).Abs() - r.dev) / 4
	r.smooth += (took - r.smooth) / 8
	r.least = min(took, r.least+(took-r.least)/256)
	r.samples++
	return r
}

// Wait is how long to wait for an answer that the peer itself can give. least is what it
// may need beyond its round trip, so that a steady wire does not wait on the knife's edge.
// Of a peer that is not known yet, far is the longest round trip to others,
// or between them.
func (r RoundTrip) Wait(least, far time.Duration) time.Duration {
	most := max(Max, least)
	switch {
	case r.samples > 0:
		return min(r.smooth+max(4*r.dev, least), most)
	case far > 0:
		return min(greetTrips*far+least, most)
	}
	return max(first, least)
}

// isSteady says whether a few answers now and then tell enough.
func (r RoundTrip) isSteady(least time.Duration) bool {
	return r.samples >= SampleEvery && 4*r.dev <= least
}

// Spare is how much of the time left for an answer whoever asks others keeps for itself,
// to decide if they do not: half of what a peer may need beyond its round trip.
func Spare(left, least time.Duration) time.Duration { return min(left, least) / 2 }

// Pace is a RoundTrip that is read at every take. It is safe for concurrent use.
type Pace struct {
	mu   sync.Mutex
	trip RoundTrip

	wait, smooth, least atomic.Int64 // 0: nothing is known
	steady              atomic.Bool
}

// Measure adds one answer, and returns the smoothed round trip before and after.
func (p *Pace) Measure(took, least time.Duration) (was, is time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, p.trip = p.trip.smooth, p.trip.After(took)
	p.wait.Store(int64(p.trip.Wait(least, 0)))
	p.smooth.Store(int64(p.trip.smooth))
	p.least.Store(int64(p.trip.least))
	p.steady.Store(p.trip.isSteady(least))
	return was, p.trip.smooth
}

// Wait is how long to wait for an answer that the peer itself can give; 0 if nothing is
// known of it.
func (p *Pace) Wait() time.Duration { return time.Duration(p.wait.Load()) }

// Smooth is the round trip, 0 if it is not known.
func (p *Pace) Smooth() time.Duration { return time.Duration(p.smooth.Load()) }

// OneWay is how long an answer was on its way at least.
func (p *Pace) OneWay() time.Duration { return time.Duration(p.least.Load()) / 2 }

// Steady says whether a few answers now and then tell enough.
func (p *Pace) Steady() bool { return p.steady.Load() }
