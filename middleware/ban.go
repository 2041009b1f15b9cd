package middleware

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/limiter"
)

// Ban refuses whoever goes on after so many refusals for longer than its limit would: for For,
// the next time for twice as long, and so on up to Max. Whoever goes on while banned is
// counted as well. One doubling is forgotten for each twice Max that passes.
//
// Bans are budgets of the limiter as the rule's own is, so all nodes know of them. A rule
// with a ban asks the limiter one question more. A ban that runs goes on as it was begun under
// a policy that says other lengths; another Max begins the doublings anew.
type Ban struct {
	// After is how many refusals within one Window of the rule's Limit it takes; 0 means no ban.
	After int64
	// For is the length of the first ban, at least a millisecond. Lengths are rounded up to 10 ms.
	For time.Duration
	// Max is the longest; 0 means an hour, or For if that is longer. It is at most 2^20 times For,
	// and at most half of 366 days divided by the number of bans until it is reached.
	Max time.Duration
}

// ban is a checked [Ban]: three budgets beside the rule's own, each with one writer per slot as
// any other.
//
//   - The strikes: a window that admits as many refusals as it takes. Whoever takes the
//     last of them begins the ban, and nobody else does.
//   - The level: a bucket that each ban takes one token from, and that gets one back each
//     twice Max, so that none comes back while one ban follows upon the other. What is
//     missing is how often to double.
//   - The ban itself: a bucket whose arrival time is the end. Two sides of a split that ban the
//     same subject join their bans as they join what they took from any bucket.
type ban struct {
	strikes, level, until limiter.Limit
	first, longest        time.Duration
}

const (
	// banTick is a token of a ban. It is the same for all: of another it would be another budget,
	// and whoever is banned would be free when a policy is read again. The longest ban
	// has as many as a bucket can hold.
	banTick    = 10 * time.Millisecond
	banDoubles = 20        // at most
	banDefault = time.Hour // the longest, unless said otherwise
)

// The parts that the keys of a ban's budgets have beside those of the rule's.
const (
	banStrikes = "\x00strikes"
	banLevel   = "\x00level"
	banUntil   = "\x00ban"
)

// newBan checks a rule's ban; nil if there is none.
func newBan(r Rule) (*ban, error) {
	b := r.Ban
	if b == (Ban{}) {
		return nil, nil
	}
	longest := b.Max
	if longest == 0 {
		if longest = b.For; b.For > 0 && b.For < banDefault {
			longest = min(banDefault, b.For<<banDoubles)
		}
	}
	switch {
	case b.After < 1 || b.After > limiter.MaxQuota:
		return nil, fieldError("ban.after", b.After, fmt.Sprintf("is not within 1 to %d", limiter.MaxQuota))
	case b.For < limiter.MinWindow || b.For > limiter.MaxWindow/4:
		return nil, fieldError("ban.for", b.For, fmt.Sprintf("is not within %v to %v", limiter.MinWindow, limiter.MaxWindow/4))
	case longest < b.For:
		return nil, fieldError("ban.max", longest, fmt.Sprintf("is shorter than the first ban, %v", b.For))
	}
	doubles := bits.Len64(uint64((longest - 1) / b.For))
	if doubles > banDoubles || longest > limiter.MaxWindow/2/time.Duration(doubles+1) {
		return nil, fieldError("ban.max", longest, fmt.Sprintf("is too long after a first ban of %v", b.For))
	}
	c := &ban{
		strikes: limiter.Limit{Quota: b.After, Window: r.Limit.Span()},
		level:   limiter.Bucket(1, 2*longest, int64(doubles+1)),
		until:   limiter.Bucket(1, banTick, int64((longest+banTick-1)/banTick)+1),
		first:   b.For, longest: longest,
	}
	for _, l := range []*limiter.Limit{&c.strikes, &c.level, &c.until} {
		l.Split, l.Lease = r.Limit.Split, limiter.LeaseOff
	}
	return c, nil
}

// banned reports whether the subject of a call is banned, and makes that its decision.
func (m *Middleware) banned(ctx context.Context, c *call) bool {
	b := c.rule.ban
	left, path := m.bans.left(c.key), limiter.PathRemembered
	if left <= 0 {
		d, err := m.limiter.Take(ctx, beside(c.key, banUntil), b.until, 0)
		if left, path = d.ResetAfter, d.Path; err != nil || left <= 0 {
			return false // who cannot be asked about a ban is asked about the limit
		}
		m.bans.add(c.key, left)
	}
	c.decision, c.err, c.verdict = limiter.Decision{RetryAfter: left, ResetAfter: left, Path: path}, nil, Banned
	return true
}

// strikeAll counts the refusals of a request, by each rule that has a ban.
func (m *Middleware) strikeAll(x *exchange) {
	for i := range x.calls {
		if c := &x.calls[i]; c.rule.ban != nil && c.verdict.denies() && !c.looked && !c.decision.Tentative {
			m.strike(context.WithoutCancel(x.ctx), c) // who hangs up has been refused all the same
		}
	}
}

// strike counts one refusal, and begins a ban with the last that it takes.
func (m *Middleware) strike(ctx context.Context, c *call) {
	b := c.rule.ban
	d, err := m.limiter.Take(ctx, beside(c.key, banStrikes), b.strikes, 1)
	if err != nil || !d.Allowed || d.Remaining > 0 {
		return
	}
	length := b.longest
	if d, err = m.limiter.Take(ctx, beside(c.key, banLevel), b.level, 1); err != nil {
		return
	} else if d.Allowed {
		level := (d.ResetAfter - 1) / (2 * b.longest) // ResetAfter is so many tokens that are missing
		length = min(b.longest, b.first<<level)
	}
	// What is left of an earlier ban is part of this one: the end is a maximum, not a sum.
	was := time.Duration(0)
	if c.verdict == Banned {
		was = c.decision.RetryAfter
	}
	ticks := int64((length - was + banTick - 1) / banTick)
	if ticks > 0 {
		if _, d, err = limiter.TakeUpTo(ctx, m.limiter, beside(c.key, banUntil), b.until, ticks); err != nil {
			return
		}
		was = d.ResetAfter
	}
	m.bans.add(c.key, was)
	d = c.decision // a ban that is shorter than the limit's own wait does not shorten that
	c.decision.Remaining, c.decision.RetryAfter, c.decision.ResetAfter, c.verdict = 0, max(d.RetryAfter, was), max(d.ResetAfter, was), Banned
}

// beside is the key of a budget that belongs to the one of key. A key of more parts is no
// other rule's.
func beside(key, part string) string {
	return string(limiter.AppendKey(append(make([]byte, 0, len(key)+len(part)+2), key...), part))
}

// bans remembers who is banned, so that a flood of theirs is refused without a question. It is
// a table of fixed size; what falls out of it is asked again.
type bans struct {
	seed  maphash.Seed
	start time.Time
	slots [1024]atomic.Pointer[banEnd]
}

// banEnd is how long a ban is believed.
type banEnd struct {
	key   string
	known time.Duration // since start: until then it is not asked about again
	end   time.Duration
}

// banKnown is how long a ban is believed, so that one that was lifted is over soon.
const banKnown = time.Second

func (b *bans) init() { b.seed, b.start = maphash.MakeSeed(), time.Now() }

func (b *bans) slot(key string) *atomic.Pointer[banEnd] {
	return &b.slots[maphash.String(b.seed, key)%uint64(len(b.slots))]
}

// add notes how long a key is banned.
func (b *bans) add(key string, left time.Duration) {
	now := time.Since(b.start)
	b.slot(key).Store(&banEnd{strings.Clone(key), now + min(left, banKnown), now + left})
}

// forget ends what is believed of a key.
func (b *bans) forget(key string) {
	if e := b.slot(key).Load(); e != nil && e.key == key {
		b.slot(key).CompareAndSwap(e, nil)
	}
}

// left is how long a key is banned, 0 if that is not known.
func (b *bans) left(key string) time.Duration {
	e := b.slot(key).Load()
	if e == nil || e.key != key {
		return 0
	}
	now := time.Since(b.start)
	if now >= e.known {
		return 0
	}
	return e.end - now
}
