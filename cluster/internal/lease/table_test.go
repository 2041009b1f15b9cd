package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// A denial is remembered for costs that are not smaller, for a second at most, until
// something is given back, the limit changes, or the view does.
func TestDenialsAreRemembered(t *testing.T) {
	const at = 10 * time.Second
	id, l := ledger.ID{Hi: 7, Lo: 7}, limiter.Per(10, time.Hour)
	denied := limiter.Decision{RetryAfter: 10 * time.Minute, ResetAfter: 20 * time.Minute}
	for name, c := range map[string]struct {
		d      limiter.Decision
		look   bool // 0 was denied, not 2
		change func(n *Table, l *limiter.Limit)
		cost   int64
		after  time.Duration
		serial uint32
		want   bool
	}{
		"the same cost":            {d: denied, cost: 2, want: true},
		"a larger cost":            {d: denied, cost: 3, want: true},
		"a smaller cost":           {d: denied, cost: 1},
		"a look":                   {d: denied, cost: 0},
		"the denial of a look":     {d: denied, look: true, cost: 1},
		"almost a second later":    {d: denied, cost: 2, after: denyMax - 1, want: true},
		"a second later":           {d: denied, cost: 2, after: denyMax},
		"when it can succeed":      {d: limiter.Decision{RetryAfter: time.Millisecond}, cost: 2, after: time.Millisecond},
		"just before":              {d: limiter.Decision{RetryAfter: time.Millisecond}, cost: 2, after: time.Millisecond - 1, want: true},
		"another view":             {d: denied, cost: 2, serial: 1},
		"another quota":            {d: denied, cost: 2, change: func(_ *Table, l *limiter.Limit) { l.Quota = 20 }},
		"a refund":                 {d: denied, cost: 2, change: func(n *Table, _ *limiter.Limit) { n.Forget(id, at) }},
		"degraded":                 {d: limiter.Decision{RetryAfter: time.Hour, Degraded: true}, cost: 2},
		"something remains":        {d: limiter.Decision{RetryAfter: time.Hour, Remaining: 1}, cost: 2},
		"it was admitted, in fact": {d: limiter.Decision{Allowed: true}, cost: 2},
	} {
		n, asked := NewTable(), l
		denied := int64(2)
		if c.look {
			denied = 0
		}
		n.Deny(id, &l, denied, c.d, at, at, 0)
		if c.change != nil {
			c.change(n, &asked)
		}
		d, ok, ask := n.Take(id, &asked, c.cost, at+c.after, c.serial)
		require.Equal(t, c.want, ok, name)
		require.Zero(t, ask, name)
		if ok {
			require.Equal(t, limiter.Decision{Path: limiter.PathRemembered, RetryAfter: c.d.RetryAfter - c.after, ResetAfter: max(0, c.d.ResetAfter-c.after)}, d, name)
		}
	}
}

// A look is never answered from memory, not even where the smallest cost was denied.
func TestLooksAreNotRemembered(t *testing.T) {
	n, id, l := NewTable(), ledger.ID{Hi: 7, Lo: 7}, limiter.Per(10, time.Hour)
	n.Deny(id, &l, 1, limiter.Decision{RetryAfter: time.Hour}, time.Second, time.Second, 0)
	_, ok, _ := n.Take(id, &l, 1, time.Second, 0)
	require.True(t, ok)
	_, ok, _ = n.Take(id, &l, 0, time.Second, 0)
	require.False(t, ok)
}

// A denial that was on its way while something was given back may not know of that.
func TestDenialsOvertakenByARefund(t *testing.T) {
	id, l := ledger.ID{Hi: 7, Lo: 7}, limiter.Per(10, time.Hour)
	for gave, want := range map[time.Duration]bool{0: true, time.Second - 1: true, time.Second: false, 2 * time.Second: false} {
		n := NewTable()
		n.Forget(id, gave)
		n.Deny(id, &l, 1, limiter.Decision{RetryAfter: time.Hour}, time.Second, time.Second, 0)
		_, ok, _ := n.Take(id, &l, 1, 3*time.Second/2, 0)
		require.Equal(t, want, ok, "given back at %v", gave)
	}
}

// However many budgets are asked for, what is remembered is bounded, and what is leased
// is not what goes.
func TestWhatIsLeasedStays(t *testing.T) {
	n, l := NewTable(), limiter.Limit{Quota: 1000, Window: time.Hour, Lease: limiter.LeaseAlways}
	kept := ledger.ID{Hi: 3, Lo: 1}
	_, ok, ask := n.Take(kept, &l, 1, time.Second, 0)
	require.False(t, ok)
	require.Positive(t, ask.Want)
	n.Heard(&wire.Lease{ID: kept, Limit: l, Number: ask.Number, Slice: 20, ResetAfter: time.Hour}, 5, time.Second, time.Second)
	off := limiter.Limit{Quota: 1, Window: time.Hour}
	for i := range uint64(100_000) {
		n.Deny(ledger.ID{Hi: i, Lo: 2}, &off, 1, limiter.Decision{RetryAfter: time.Hour}, time.Second, time.Second, 0)
	}
	for range 20 {
		d, ok, _ := n.Take(kept, &l, 1, 2*time.Second, 0)
		require.True(t, ok && d.Allowed)
	}
	_, ok, _ = n.Take(kept, &l, 1, 2*time.Second, 0)
	require.False(t, ok, "all is spent")
}

// What is called back can be spent no more, and if the answer to that is lost, the next
// one is the same. A slice that has not come by then counts as lost, and is refused.
func TestRecall(t *testing.T) {
	n, l := NewTable(), limiter.Limit{Quota: 1000, Window: time.Hour, Lease: limiter.LeaseAlways}
	id := ledger.ID{Hi: 3, Lo: 1}
	ask := func(age time.Duration) *wire.Lease {
		_, _, a := n.Take(id, &l, 1, age, 0)
		require.Positive(t, a.Want)
		return &wire.Lease{ID: id, Limit: l, Number: a.Number, Slice: 20, ResetAfter: time.Hour}
	}
	c := ask(time.Second)
	n.Heard(c, 5, time.Second, time.Second)
	_, ok, _ := n.Take(id, &l, 3, time.Second, 0)
	require.True(t, ok)
	for range 2 {
		r := &wire.Recall{ID: id, Number: c.Number}
		require.Nil(t, n.Recall(r, 5, time.Second, false))
		require.Equal(t, wire.Recall{ID: id, Number: c.Number, Left: 17}, *r)
	}
	r := &wire.Recall{ID: id, Number: c.Number}
	require.Nil(t, n.Recall(r, 6, time.Second, false))
	require.Zero(t, r.Left, "it is another's")

	late := ask(time.Second)
	r = &wire.Recall{ID: id, Number: late.Number}
	wait := n.Recall(r, 5, time.Second, false)
	require.NotNil(t, wait)
	n.Recall(r, 5, time.Second, true)
	require.True(t, r.Lost)
	n.Heard(late, 5, time.Second, time.Second)
	<-wait
	_, ok, a := n.Take(id, &l, 1, time.Second, 0)
	require.False(t, ok, "what is lost there must not be spent here")
	require.NotEqual(t, late.Number, a.Number)

	n.Heard(&wire.Lease{ID: id, Limit: l, Number: a.Number}, 5, time.Second, time.Second)
	failed := ask(2 * time.Second)
	n.Failed(id, true, 2*time.Second)
	require.Equal(t, failed.Number, ask(3*time.Second).Number, "it is asked again under its number")
}

// A lease may be spent only as long as its window lasts, and a bucket's only as far as
// it has not been refilled since.
func TestLeasesEnd(t *testing.T) {
	for _, c := range []struct {
		l     limiter.Limit
		reset time.Duration
		after time.Duration
		want  int64
	}{
		{limiter.Per(1000, time.Minute), 10 * time.Second, 10*time.Second - 1, 20},
		{limiter.Per(1000, time.Minute), 10 * time.Second, 10 * time.Second, 0},
		{limiter.Limit{Quota: 1000, Window: time.Minute, Algorithm: limiter.SlidingWindow}, 70 * time.Second, 10*time.Second - slidingLead - 1, 20},
		{limiter.Limit{Quota: 1000, Window: time.Minute, Algorithm: limiter.SlidingWindow}, 70 * time.Second, 10*time.Second - slidingLead, 0},
		{limiter.Limit{Quota: 60, Window: time.Minute, Algorithm: limiter.TokenBucket}, 20 * time.Second, 0, 20},
		{limiter.Limit{Quota: 60, Window: time.Minute, Algorithm: limiter.TokenBucket}, 20 * time.Second, 15 * time.Second, 5},
		{limiter.Limit{Quota: 60, Window: time.Minute, Algorithm: limiter.TokenBucket}, 40 * time.Second, 15 * time.Second, 20},
	} {
		n, id := NewTable(), ledger.ID{Hi: 3, Lo: 1}
		c.l.Lease = limiter.LeaseAlways
		_, _, a := n.Take(id, &c.l, 1, time.Second, 0)
		n.Heard(&wire.Lease{ID: id, Limit: c.l, Number: a.Number, Slice: 20, ResetAfter: c.reset}, 5, time.Second, time.Second)
		got := int64(0)
		for {
			if _, ok, _ := n.Take(id, &c.l, 1, time.Second+c.after, 0); !ok {
				break
			}
			got++
		}
		require.Equal(t, c.want, got, "%+v", c)
	}
}

// A slice of a bucket may be spent as long as its holder said, also where something of earlier
// ones is left: that alone ends when the bucket would be full without what others took since.
func TestLastSliceKeepsItsTime(t *testing.T) {
	l := limiter.Limit{Quota: 60, Window: time.Minute, Algorithm: limiter.TokenBucket, Lease: limiter.LeaseAlways}
	for _, c := range []struct {
		age  time.Duration
		want int64
	}{
		{2 * time.Second, 3 + 4 + 20}, // of the first slice, the second, and the last
		{19 * time.Second, 2 + 4 + 20},
		{23 * time.Second, 2 + 20},
		{26 * time.Second, 20},
		{31 * time.Second, 20}, // the last one ends 60 s after it was counted
		{52 * time.Second, 10},
		{62 * time.Second, 0},
	} {
		n, id := NewTable(), ledger.ID{Hi: 3, Lo: 1}
		slice := func(age time.Duration, cost, size int64, reset time.Duration, spends bool) {
			_, ok, a := n.Take(id, &l, cost, age, 0)
			require.Equal(t, spends, ok)
			n.Heard(&wire.Lease{ID: id, Limit: l, Number: a.Number, Slice: size, ResetAfter: reset}, 5, age, age)
		}
		slice(time.Second, 1, 20, 20*time.Second, false)
		slice(time.Second, 17, 4, 40*time.Second, true)
		slice(2*time.Second, 100, 20, 60*time.Second, false)
		left, _ := n.Look(id, c.age)
		require.Equal(t, c.want, left, "at %v", c.age)
		_, ok, _ := n.Take(id, &l, c.want+1, c.age, 0)
		require.False(t, ok, "at %v", c.age)
		if c.want > 0 {
			_, ok, _ = n.Take(id, &l, c.want, c.age, 0)
			require.True(t, ok, "at %v", c.age)
		}
	}
}
