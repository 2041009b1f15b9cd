package client

import (
	"math"
	"slices"
	"time"
)

const (
	// scoutPatience is how long a window's first answer is waited for before one
	// more request goes ahead.
	scoutPatience = time.Second
	// silenceMax is how many answers in a row a budget that has shown itself once may
	// be silent about itself before it counts as gone. One alone may be of an exempt
	// route, or of a window that ended under way.
	silenceMax = 3
	// slack is how far apart two answers may put one and the same reset: whole
	// seconds are rounded twice, in the reset and in Date.
	slack = 2 * time.Second
)

// phase is how much is known of a budget.
type phase uint8

const (
	unknown phase = iota // nothing of the present window
	free                 // the answers say nothing of a budget
	known                // left and reset are
)

// budget is what the transport believes of one budget. It is a state machine whose
// methods take the time and neither block nor lock; the pacer's lock guards it.
//
// Answers arrive in another order than the server wrote them, and say nothing of
// requests that it had not seen yet. So within a window left only falls: to what an
// answer reports less what is in flight, as if none of that were counted in it. That
// can be too little, never too much. Whenever nothing is in flight, the least that
// was reported is the truth, and left is put right.
type budget struct {
	phase   phase
	left    int64     // what may still be sent before reset
	reset   time.Time // when the window ends
	blocked time.Time // nothing is sent before: Retry-After
	sent    time.Time // the last request went out
	heard   time.Time // the last answer that told of the window arrived
	most    time.Duration

	seq     uint64 // of the last request sent
	learned uint64 // the last one sent when the present view arrived
	flying  int64  // requests without an answer yet
	lost    int64  // requests that had none, since nothing was in flight
	least   int64  // what answers reported, since nothing was in flight

	began  uint64 // the last request sent before the present window
	silent int    // answers in the present window that say nothing of it
	shown  bool   // some answer has shown the budget

	share share // of others who spend from the same budget

	queue []waiter
}

// waiter is one request's place in the queue: it receives when it should look again.
type waiter chan struct{}

// wait is the time until one more request may be sent, 0 or less for now.
func (b *budget) wait(now time.Time, spread bool) time.Duration {
	b.expire(now)
	if now.Before(b.blocked) {
		return b.blocked.Sub(now)
	}
	switch {
	case spread && b.phase == unknown && now.Before(b.share.resume):
		return b.share.resume.Sub(now)
	case b.phase == unknown && b.flying > 0:
		return b.sent.Add(scoutPatience).Sub(now)
	case b.phase == known && b.left <= 0:
		return b.end().Sub(now)
	case b.phase == known && spread:
		return min(b.due(1, b.left).Sub(now), b.end().Sub(now))
	}
	return 0
}

// end is when the present view of the budget is over: at the reset, or when nothing
// was heard for so long that no answer may be believed further.
func (b *budget) end() time.Time {
	if stale := b.heard.Add(b.most); stale.Before(b.reset) {
		return stale
	}
	return b.reset
}

// denied is the time for which a request sent now would be denied.
func (b *budget) denied(now time.Time) time.Duration {
	b.expire(now)
	switch {
	case now.Before(b.blocked):
		return b.blocked.Sub(now)
	case b.phase == known && b.left <= 0:
		return b.end().Sub(now)
	}
	return 0
}

// soonest is the earliest that a request with so many ahead of it can hope for. It
// takes the best view of what is in flight, so that none is turned away in vain.
func (b *budget) soonest(now time.Time, ahead int, spread bool) time.Duration {
	b.expire(now)
	wait := max(b.blocked.Sub(now), 0)
	if b.phase != known {
		if spread && b.phase == unknown {
			wait = max(wait, b.share.resume.Sub(now))
		}
		return wait
	}
	hope := max(b.left, 0) + b.flying
	switch {
	case int64(ahead) >= hope:
		wait = max(wait, b.end().Sub(now))
	case spread:
		wait = max(wait, min(b.due(int64(ahead)+1, hope).Sub(now), b.end().Sub(now)))
	}
	return wait
}

// due is when the nth of left requests is sent if they are spread evenly between
// the last one sent and the reset, and others take their share of them.
func (b *budget) due(nth, left int64) time.Time {
	early := b.share.early(b.reset)
	left = max(left-b.share.reserve(), 0)
	step := b.share.scale(max(early.Sub(b.sent), 0) / time.Duration(left+1))
	at := b.sent.Add(min(step*time.Duration(nth), farthest))
	if b.share.shared() && !at.Before(early) {
		return b.reset
	}
	return at
}

// expire forgets a window that is over.
func (b *budget) expire(now time.Time) {
	if b.phase == known && !now.Before(b.end()) {
		b.share.over(b.end())
		b.begin()
	}
}

// begin starts a window of which nothing is known. What is in flight now will tell
// of the one before.
func (b *budget) begin() {
	b.phase, b.began, b.silent = unknown, b.seq, 0
	b.share.mark.ok = false
}

// silence notes that an answer tells nothing of the present window.
func (b *budget) silence(seq uint64) {
	if b.phase != unknown || seq <= b.began {
		return
	}
	if b.silent++; !b.shown || b.silent >= silenceMax {
		b.phase = free
	}
}

// over says that the budget holds nothing worth keeping.
func (b *budget) over(now time.Time) bool {
	b.expire(now)
	return b.phase != known && !now.Before(b.blocked)
}

// send counts a request as sent and returns its number.
func (b *budget) send(now time.Time) uint64 {
	b.expire(now) // before the number is given: it belongs to the new window
	if b.flying == 0 {
		b.lost, b.least = 0, math.MaxInt64
	}
	if b.phase == known {
		b.share.sending(now, b.due(2, b.left))
	}
	b.seq++
	b.flying++
	b.left--
	b.sent = now
	return b.seq
}

// answer takes over what the answer to request seq says.
func (b *budget) answer(seq uint64, r RateLimit, refused bool) {
	b.flying--
	now := r.Received
	b.expire(now)
	switch {
	case refused && r.RetryAfterKnown:
		// Retry-After takes precedence over a reset: a token bucket has room long
		// before it is full again.
		if until := now.Add(min(r.RetryAfter, b.most)); until.After(b.blocked) {
			b.blocked = until
		}
		b.begin()
	case r.RemainingKnown && r.ResetKnown:
		b.share.limit = r.Limit
		b.learn(seq, r.Remaining, now, now.Add(r.ResetAfter))
	case b.phase == known && !r.RemainingKnown && !r.LimitKnown:
		b.left++ // by the contract an answer without headers was not counted
	default:
		b.silence(seq)
	}
	b.settle()
}

// learn takes over a report of what remained until reset.
func (b *budget) learn(seq uint64, remaining int64, now, reset time.Time) {
	b.shown = true
	if !reset.After(now) {
		b.silence(seq)
		return
	}
	if b.phase == unknown && seq <= b.began {
		return
	}
	apart := reset.Sub(b.reset)
	same := b.phase == known && apart.Abs() <= slack
	switch {
	case same:
		b.left = min(b.left, remaining-b.flying)
		b.least = min(b.least, remaining)
		if apart > 0 {
			b.reset = reset
		}
		if reset.Before(b.share.reset) {
			b.share.reset = reset
		}
	case b.phase != known || apart > 0 || seq > b.learned:
		// A window later than ours, or a newer view of a budget that refills. Newer
		// is only what was sent after our view had arrived: of two requests in
		// flight together, the server may have served either first.
		b.phase, b.reset = known, reset
		b.share.began, b.share.reset = now, reset
		b.left, b.least, b.lost = remaining-b.flying, remaining, 0
	default:
		return // from a window that is over, or overtaken
	}
	b.learned, b.heard = b.seq, now
}

// lose takes a request without an answer out of flight. It may have been counted,
// so nothing is given back for it.
func (b *budget) lose() {
	b.flying--
	b.lost++
	b.settle()
}

// settle puts left right when nothing is in flight, and wakes the head of the queue.
func (b *budget) settle() {
	if b.flying == 0 && b.phase == known && b.least != math.MaxInt64 {
		b.left = b.least - b.lost
		b.share.measure(b.seq, b.least)
	}
	b.wake()
}

// wake makes the head of the queue look again.
func (b *budget) wake() {
	if len(b.queue) > 0 {
		select {
		case b.queue[0] <- struct{}{}:
		default: // it has been told and has not looked yet
		}
	}
}

// place is how many are ahead of w.
func (b *budget) place(w waiter) int { return slices.Index(b.queue, w) }

// quit takes w out of the queue and tells the next head.
func (b *budget) quit(w waiter) {
	i := b.place(w)
	b.queue = slices.Delete(b.queue, i, i+1)
	if i == 0 {
		b.wake()
	}
}
