package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// step is one thing that happens to a budget, at seconds after t0, and what the
// next request would have to wait after it.
type step struct {
	at     float64
	do     string // send, answer, refuse, lose
	seq    uint64 // which request is answered
	r      RateLimit
	wait   float64
	spread float64
}

func at(seconds float64) time.Time {
	return t0.Add(time.Duration(seconds * float64(time.Second)))
}

// left is a report of n requests left for so many seconds.
func left(n int64, seconds float64) RateLimit {
	return RateLimit{Remaining: n, RemainingKnown: true, ResetAfter: at(seconds).Sub(t0), ResetKnown: true}
}

// retry is a refusal that asks to wait.
func retry(seconds float64) RateLimit {
	return RateLimit{RetryAfter: at(seconds).Sub(t0), RetryAfterKnown: true}
}

func run(t *testing.T, steps []step) {
	t.Helper()
	b := budget{most: DefaultPaceMax}
	for i, s := range steps {
		now := at(s.at)
		s.r.Received = now
		switch s.do {
		case "send":
			b.send(now)
		case "answer":
			b.answer(s.seq, s.r, false)
		case "refuse":
			b.answer(s.seq, s.r, true)
		case "lose":
			b.lose()
		}
		assert.InDelta(t, s.wait, max(b.wait(now, false), 0).Seconds(), 1e-6, "step %d: %+v", i, s)
		assert.InDelta(t, s.spread, max(b.wait(now, true), 0).Seconds(), 1e-6, "step %d, spread: %+v", i, s)
	}
}

func TestBudgetOneAfterTheOther(t *testing.T) {
	run(t, []step{
		{do: "look"},                     // nothing known: go
		{do: "send", wait: 1, spread: 1}, // one goes ahead
		{at: 0.5, do: "look", wait: 0.5, spread: .5},
		{at: 1, do: "look"}, // patience is over
		{at: 1, do: "answer", seq: 1, r: left(2, 6), spread: 7.0/3 - 1},
		{at: 2, do: "send", spread: 2.5}, // one left for 5 s: in the middle
		{at: 2, do: "answer", seq: 2, r: left(1, 5), spread: 2.5},
		{at: 5, do: "send", wait: 2, spread: 2}, // the last one
		{at: 5, do: "answer", seq: 3, r: left(0, 2), wait: 2, spread: 2},
		{at: 6.9, do: "look", wait: 0.1, spread: .1},
		{at: 7, do: "send", wait: 1, spread: 1}, // a new window: one goes ahead
	})
}

func TestBudgetInFlightIsTakenAsUncounted(t *testing.T) {
	run(t, []step{
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(3, 60), spread: 15},
		{do: "send", spread: 20}, {do: "send", spread: 30},
		{do: "send", wait: 60, spread: 60},
		{do: "answer", seq: 3, r: left(2, 60), wait: 60, spread: 60}, // saw one of three
		{do: "answer", seq: 4, r: left(0, 60), wait: 60, spread: 60},
		{do: "answer", seq: 2, r: left(1, 60), wait: 60, spread: 60}, // late: the least holds
	})
}

func TestBudgetIsPutRightWhenQuiet(t *testing.T) {
	run(t, []step{
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(2, 60), spread: 20},
		{do: "send", spread: 30},
		{do: "send", wait: 60, spread: 60},
		{do: "answer", seq: 2, r: RateLimit{}, spread: 30}, // exempt: given back
		{do: "answer", seq: 3, r: left(1, 60), spread: 30},
		{do: "send", wait: 60, spread: 60},
		{do: "lose", wait: 60, spread: 60}, // may have been counted
	})
}

func TestBudgetRetryAfterGoesBeforeReset(t *testing.T) {
	refused := left(0, 60)
	refused.RetryAfter, refused.RetryAfterKnown = 2*time.Second, true
	run(t, []step{
		{do: "send", wait: 1, spread: 1},
		{do: "refuse", seq: 1, r: refused, wait: 2, spread: 2},
		{at: 1, do: "look", wait: 1, spread: 1},
		{at: 2, do: "send", wait: 1, spread: 1}, // one tries, the others wait
		{at: 2, do: "refuse", seq: 2, r: retry(3), wait: 3, spread: 3},
		{at: 5, do: "look"},
	})
	run(t, []step{ // also over a reset that an earlier answer gave
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(1, 60), spread: 30},
		{do: "send", wait: 60, spread: 60},
		{do: "refuse", seq: 2, r: refused, wait: 2, spread: 2},
		{at: 2, do: "look"},
	})
	run(t, []step{ // the longer of two refusals holds
		{do: "send", wait: 1, spread: 1}, {do: "send", wait: 1, spread: 1},
		{do: "refuse", seq: 1, r: retry(9), wait: 9, spread: 9},
		{do: "refuse", seq: 2, r: retry(1), wait: 9, spread: 9},
	})
}

func TestBudgetWithoutHeadersIsFree(t *testing.T) {
	run(t, []step{
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1},
		{do: "send"}, {do: "send"}, {do: "send"},
		{do: "answer", seq: 2, r: RateLimit{Remaining: 0, RemainingKnown: true}}, // until when?
		{do: "answer", seq: 3, r: left(1, 60), wait: 60, spread: 60},             // one in flight
		{do: "answer", seq: 4, r: left(0, 60), wait: 60, spread: 60},
	})
	run(t, []step{ // resets without a future, as of a server whose clock is behind
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(5, 0)},
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 2, r: left(5, 0)},
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 3, r: left(5, 0)}, // the third in a row: it is always so
		{do: "send"}, {do: "send"},
	})
	run(t, []step{ // a refusal that says nothing
		{do: "send", wait: 1, spread: 1},
		{do: "refuse", seq: 1},
	})
}

func TestBudgetWindows(t *testing.T) {
	run(t, []step{
		{do: "send", wait: 1, spread: 1}, {do: "send", wait: 1, spread: 1},
		{at: 1, do: "answer", seq: 2, r: left(9, 60), spread: 61.0/9 - 1}, // 8 of them sure
		{at: 1, do: "answer", seq: 1, r: left(0, 20), spread: 6.1 - 1},    // an older window's: no news, and now 9
		{at: 2, do: "send", spread: 59.0 / 9},
		{at: 2, do: "answer", seq: 3, r: left(0, 30), wait: 30, spread: 30}, // newer: it refills, or was changed
		{at: 3, do: "look", wait: 29, spread: 29},
	})
	run(t, []step{ // resets that differ by rounding are one: the later holds
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(1, 10), spread: 5},
		{do: "send", wait: 10, spread: 10},
		{do: "answer", seq: 2, r: left(0, 11), wait: 11, spread: 11},
	})
}

// TestBudgetOvertaken has two answers of a bucket overtake each other: the request
// that was sent last was served first. Its answer looks as if the budget had refilled.
func TestBudgetOvertaken(t *testing.T) {
	run(t, []step{
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(2, 3), spread: 1},
		{do: "send", spread: 1.5},
		{do: "send", wait: 3, spread: 3},
		{do: "answer", seq: 2, r: left(0, 9), wait: 9, spread: 9},
		{do: "answer", seq: 3, r: left(1, 6), wait: 9, spread: 9},
	})
}

// TestBudgetStragglers has answers of one window arrive in the next: they must neither
// set the budget free nor be taken for the new window's.
func TestBudgetStragglers(t *testing.T) {
	run(t, []step{
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(9, 10), spread: 1},
		{at: 9, do: "send", spread: 1.0 / 9},
		{at: 9, do: "send", spread: 1.0 / 8},
		{at: 9, do: "send", spread: 1.0 / 7},
		{at: 10, do: "send", wait: 1, spread: 1},                              // the new window's first, by patience
		{at: 10.1, do: "answer", seq: 2, r: left(8, 0), wait: .9, spread: .9}, // its window is over
		{at: 10.1, do: "answer", seq: 3, wait: .9, spread: .9},                // no headers
		{at: 10.1, do: "answer", seq: 4, r: left(6, .5), wait: .9, spread: .9},
		{at: 10.2, do: "answer", seq: 5, r: left(0, 9.8), wait: 9.8, spread: 9.8},
	})
	run(t, []step{ // the first of a window is answered when that is over, too
		{do: "send", wait: 1, spread: 1},
		{do: "answer", seq: 1, r: left(0, 10), wait: 10, spread: 10},
		{at: 19.9, do: "send", wait: 1, spread: 1},
		{at: 20.1, do: "answer", seq: 2, r: left(9, 0)},
		{at: 20.1, do: "send", wait: 1, spread: 1}, // still one after the other
		{at: 20.2, do: "answer", seq: 3, r: RateLimit{}},
		{at: 20.2, do: "send", wait: 1, spread: 1}, // an exempt route does not free the others
	})
	run(t, []step{ // what was served before a refusal is older news than the refusal
		{do: "send", wait: 1, spread: 1}, {do: "send", wait: 1, spread: 1},
		{do: "refuse", seq: 2, r: retry(2), wait: 2, spread: 2},
		{do: "answer", seq: 1, r: left(5, 60), wait: 2, spread: 2},
		{at: 2, do: "send", wait: 1, spread: 1},
	})
}

func TestBudgetSoonest(t *testing.T) {
	b := budget{most: DefaultPaceMax}
	assert.Zero(t, b.soonest(t0, 50, true), "nothing is known")
	b.send(t0)
	r := left(3, 60)
	r.Received = t0
	b.answer(1, r, false)
	for ahead, want := range map[int]float64{0: 15, 1: 30, 2: 45, 3: 60, 9: 60} {
		assert.InDelta(t, want, b.soonest(t0, ahead, true).Seconds(), 1e-6, "%d ahead", ahead)
	}
	assert.Zero(t, b.soonest(t0, 2, false))
	assert.Equal(t, time.Minute, b.soonest(t0, 3, false))
	b.send(t0)
	assert.Zero(t, b.soonest(t0, 2, false), "what is in flight may not have been counted")
	assert.Equal(t, time.Minute, b.soonest(t0, 3, false))
}
