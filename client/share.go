package client

import (
	"math/rand/v2"
	"time"
)

// share is what PaceSpread knows of others who spend from the same budget: other
// processes behind one address, other users of one API key. All that shows of them
// is that what remains falls by more than was sent.
type share struct {
	// others is how many requests of others there were for each of ours, smoothed.
	others float64
	seen   float64 // measurements so far, up to 4: the first one counts whole
	// mark is where the last measurement was made, if in the present view.
	mark struct {
		seq  uint64
		left int64
		ok   bool
	}
	began  time.Time // the present view's first answer,
	sent   int64     // and how many were sent in it
	limit  int64     // as the last answer said
	reset  time.Time // the earliest that an answer put it
	resume time.Time // nothing is sent before: see over
}

// scale stretches the gap between two requests so that others have theirs between
// them. If all do so, they spend together what one alone would.
func (s *share) scale(step time.Duration) time.Duration {
	return time.Duration(min(float64(step)*(1+s.others), float64(farthest)))
}

// shared says that others were seen to spend.
func (s *share) shared() bool { return s.others > 0.1 }

// reserve is how much of the budget is left alone, for the errors of those who share.
func (s *share) reserve() int64 {
	if !s.shared() {
		return 0
	}
	return s.limit / 100
}

// early is when to be through with a window, if the budget is shared. Servers round a
// reset up, so the budget is usually whole again a while before, and what is unspent
// then is lost: a second before the earliest that an answer put it, or a tenth of a
// short window. Nothing is sent from then on, as all of us have the same last moment.
func (s *share) early(reset time.Time) time.Time {
	if !s.shared() {
		return reset
	}
	return s.reset.Add(-min(time.Second, s.reset.Sub(s.began)/10))
}

// sending notes a request. One that comes long after it could have been sent says
// nothing of how the budget is shared: others were not waiting for us.
func (s *share) sending(now, late time.Time) {
	if now.After(late) {
		s.mark.ok = false
	}
	s.sent++
}

// measure takes over what remained when nothing was in flight, so that all that was
// sent is counted in it.
func (s *share) measure(seq uint64, left int64) {
	if own := seq - s.mark.seq; s.mark.ok && own > 0 {
		others := max(float64(s.mark.left-left)/float64(own)-1, 0)
		s.seen = min(s.seen+1, 4)
		s.others += (others - s.others) / s.seen
	}
	s.mark.seq, s.mark.left, s.mark.ok = seq, left, true
}

// over notes the end of a window. Who shares goes on at a random time within his own
// gap: all of them know the same reset, and would come back together.
func (s *share) over(end time.Time) {
	if s.shared() && s.sent > 0 {
		gap := end.Sub(s.began) / time.Duration(s.sent)
		s.resume = end.Add(rand.N(max(gap, 1)))
	}
	s.sent = 0
}
