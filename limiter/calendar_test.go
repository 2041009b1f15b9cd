package limiter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// at is a Local whose clock shows an instant, until it is moved.
func at(t *testing.T, instant string) (l *Local, move func(time.Duration)) {
	now, err := time.Parse(time.RFC3339, instant)
	require.NoError(t, err)
	return NewLocal(Config{Now: func() time.Time { return now }}), func(d time.Duration) { now = now.Add(d) }
}

// A budget by the calendar is whole again at midnight, of its zone and not before, and the answers
// tell how long that is: also where a day has 23 hours and a month 28 days.
func TestAligned(t *testing.T) {
	for _, c := range []struct {
		limit Limit
		at    string
		reset time.Duration
		next  time.Duration // length of the period after
	}{
		{Daily(3, ""), "2026-11-26T20:00:00Z", 4 * time.Hour, 24 * time.Hour},
		{Daily(3, "Europe/Berlin"), "2026-11-26T20:00:00Z", 3 * time.Hour, 24 * time.Hour},
		{Daily(3, "Europe/Berlin"), "2026-03-28T22:59:59Z", time.Second, 23 * time.Hour},
		{Daily(3, "Europe/Berlin"), "2026-10-24T20:00:00Z", 2 * time.Hour, 25 * time.Hour},
		{Limit{Quota: 3, Align: AlignWeek}, "2026-11-29T00:00:00Z", 24 * time.Hour, 168 * time.Hour},
		{Monthly(3, ""), "2027-01-31T23:00:00Z", time.Hour, 28 * 24 * time.Hour},
		{Monthly(3, ""), "2028-01-31T23:00:00Z", time.Hour, 29 * 24 * time.Hour},
	} {
		l, move := at(t, c.at)
		take := func() Decision {
			d, err := l.Take(t.Context(), "key", c.limit, 1)
			require.NoError(t, err)
			return d
		}
		spend := func(reset time.Duration) {
			for left := int64(2); left >= 0; left-- {
				assert.Equal(t, Decision{Allowed: true, Remaining: left, ResetAfter: reset}, take(), "%v at %s", c.limit, c.at)
			}
			assert.Equal(t, Decision{ResetAfter: reset, RetryAfter: reset}, take(), "%v at %s", c.limit, c.at)
		}
		spend(c.reset)
		move(c.reset - 1)
		assert.False(t, take().Allowed, "%v: just before midnight", c.limit)
		move(1)
		spend(c.next)
		move(c.next)
		assert.True(t, take().Allowed)
	}
}

// What is refunded after midnight belongs to the day before, which is over; on the same day it comes back.
func TestAlignedRefund(t *testing.T) {
	l, move := at(t, "2026-11-26T23:59:00Z")
	limit := Daily(3, "")
	held, err := l.Hold(t.Context(), "key", limit, 2)
	require.NoError(t, err)
	left := func() int64 {
		d, err := l.Take(t.Context(), "key", limit, 0)
		require.NoError(t, err)
		return d.Remaining
	}
	require.NoError(t, l.Refund(t.Context(), "key", limit, 1, held.Window))
	assert.Equal(t, int64(2), left())
	move(time.Minute)
	d, err := l.Hold(t.Context(), "key", limit, 2)
	require.NoError(t, err)
	require.NoError(t, l.Refund(t.Context(), "key", limit, 1, held.Window))
	assert.Equal(t, int64(1), left(), "of the day before")
	require.NoError(t, l.Give(t.Context(), "key", limit, 1))
	assert.Equal(t, int64(2), left())
	l.Keep("key", limit, 1, d.Window)
}

// Days, weeks, months and other windows of one key are budgets of their own, zones as well.
func TestAlignedApart(t *testing.T) {
	l, _ := at(t, "2026-11-26T12:00:00Z")
	for _, limit := range []Limit{Daily(1, ""), Daily(1, "Europe/Berlin"), Monthly(1, ""), {Quota: 1, Align: AlignWeek}, Per(1, 24*time.Hour)} {
		for _, want := range []bool{true, false} {
			d, err := l.Take(context.Background(), "key", limit, 1)
			require.NoError(t, err)
			assert.Equal(t, want, d.Allowed, "%v", limit)
		}
	}
}

func TestAlignedErrors(t *testing.T) {
	for want, l := range map[string]Limit{
		"Align 9 is unknown":                        {Quota: 1, Align: 9},
		"Window 1m0s is not for a limit that is al": {Quota: 1, Align: AlignDay, Window: time.Minute},
		"Algorithm sliding-window is not for":       {Quota: 1, Align: AlignDay, Algorithm: SlidingWindow},
		`Zone "Mars/Base" is not a time zone`:       {Quota: 1, Align: AlignDay, Zone: "Mars/Base"},
		`Zone "Local" is the machine's own`:         {Quota: 1, Align: AlignDay, Zone: "Local"},
		`Zone "UTC" is only for a limit that is al`: {Quota: 1, Window: time.Minute, Zone: "UTC"},
		"Quota 0 is not within":                     {Align: AlignDay},
		"Burst 3 is only for TokenBucket":           {Quota: 1, Align: AlignDay, Burst: 3},
	} {
		require.ErrorIs(t, l.Validate(), ErrLimit)
		require.ErrorContains(t, l.Validate(), want)
		if l.Align == AlignNone {
			continue // a take does not look at it
		}
		k := NewLocal(Config{})
		_, err := k.Take(t.Context(), "key", l, 1)
		require.ErrorContains(t, err, want)
		_, err = k.Hold(t.Context(), "key", l, 1)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, k.Give(t.Context(), "key", l, 1), want)
	}
	require.NoError(t, Daily(1, "Europe/Berlin").Validate())
	assert.Equal(t, []string{"none", "day", "week", "month", "Align(7)"},
		[]string{AlignNone.String(), AlignDay.String(), AlignWeek.String(), AlignMonth.String(), Align(7).String()})
}

// Where the wall clock was set since, the day is the one that it shows now; a little is no reason to
// begin a budget anew.
func TestAlignedAfterTheClockWasSet(t *testing.T) {
	l, _ := at(t, "2026-11-26T23:00:00Z")
	limit := Daily(3, "")
	reset := func() (time.Duration, int64) {
		d, err := l.Take(t.Context(), "key", limit, 1)
		require.NoError(t, err)
		return d.ResetAfter, d.Remaining
	}
	in, left := reset()
	assert.Equal(t, time.Hour, in)
	assert.Equal(t, int64(2), left)
	l.ahead.Add(int64(9 * time.Second)) // as if it had shown so much more when the process began
	in, _ = reset()
	assert.Equal(t, time.Hour-9*time.Second, in)
	l.ahead.Add(int64(-9 * time.Second))
	l.ahead.Add(int64(-3 * time.Hour))
	for want := int64(1); want >= 0; want-- {
		in, left = reset()
		assert.Equal(t, time.Hour, in)
		assert.Equal(t, want, left, "the same day: nothing is forgotten")
	}
}
