package limiter

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// DefaultMaxKeys is how many keys a limiter holds unless told otherwise: at most
// about 64 MiB.
const DefaultMaxKeys = 1 << 20

// Config is the configuration of a [Local]. The zero value is good.
type Config struct {
	// MaxKeys is how many budgets are held at most; 0 or less means DefaultMaxKeys. When
	// more are in use, those that lose least are forgotten first.
	MaxKeys int
	// Now is the clock; nil means time.Now. Only differences between its readings
	// matter, and with time.Now these are monotonic.
	Now func() time.Time
}

func (c Config) maxKeys() int {
	if c.MaxKeys <= 0 {
		return DefaultMaxKeys
	}
	return c.MaxKeys
}

// Local is a limiter for one process. It has the same Take and Give as a node of a
// cluster. It is safe for concurrent use, has no goroutine, and needs no Close.
type Local struct {
	ledger *ledger.Ledger
	holds  ledger.Holds
	hasher ledger.LocalHasher
	zones  ledger.Zones
	now    func() time.Time // nil for the system's
	start  time.Time
	ahead  atomic.Int64 // what the wall clock is ahead of clock: see calendar.go
}

// NewLocal makes a limiter.
func NewLocal(c Config) *Local {
	start := time.Now()
	if c.Now != nil {
		start = c.Now()
	}
	l := &Local{ledger: ledger.NewLedger(1, c.maxKeys()), hasher: ledger.NewLocalHasher(), now: c.Now, start: start}
	l.ahead.Store(start.UnixNano() - int64(MaxWindow))
	return l
}

// clock starts a year late, so that windows before the first have times as well.
// time.Since reads the monotonic clock only, which is half the price of time.Now.
func (l *Local) clock() int64 {
	if l.now == nil {
		return int64(MaxWindow) + int64(time.Since(l.start))
	}
	return int64(MaxWindow) + int64(l.now().Sub(l.start))
}

// Take takes cost from the budget of key under l, or says why not and when. A cost
// of 0 looks and takes nothing. The error is one of ErrKey, ErrLimit and ErrCost,
// or the context's; the context is otherwise not used, since nothing waits.
func (l *Local) Take(ctx context.Context, key string, lim Limit, cost int64) (d Decision, err error) {
	if err = check(key, &lim, cost); err != nil {
		return d, err
	}
	if err = ctx.Err(); err != nil {
		return d, err
	}
	if lim.Align != AlignNone {
		return l.takeAligned(key, lim, cost, false)
	}
	b := budget(&lim)
	id, now := l.hasher.ID(key, b.Window, b.Algorithm), l.clock()
	if l.ledger.TakeInto((*ledger.Decision)(&d), id, &b, cost, now); !d.Allowed {
		l.holds.Settle((*ledger.Decision)(&d), id, &b, cost, now, false)
	}
	return d, nil
}

// Hold is Take on trial: what it takes is counted at once, but until Keep or Refund
// settles it, whoever is denied because of it is told so (Decision.Tentative). It is for
// who takes from several budgets, all or nothing, and for who does not know yet whether
// it counts. What is not settled within two seconds is kept, and can still be refunded.
func (l *Local) Hold(ctx context.Context, key string, lim Limit, cost int64) (d Decision, err error) {
	if err = check(key, &lim, cost); err != nil {
		return d, err
	}
	if err = ctx.Err(); err != nil {
		return d, err
	}
	if lim.Align != AlignNone {
		return l.takeAligned(key, lim, cost, true)
	}
	b := budget(&lim)
	id, now := l.hasher.ID(key, b.Window, b.Algorithm), l.clock()
	l.holds.Begin(id, cost, now)
	l.ledger.TakeInto((*ledger.Decision)(&d), id, &b, cost, now)
	l.holds.Settle((*ledger.Decision)(&d), id, &b, cost, now, true)
	return d, nil
}

// takeAligned is Take or Hold by the calendar.
func (l *Local) takeAligned(key string, lim Limit, cost int64, trial bool) (d Decision, err error) {
	now := l.clock()
	id, end, err := l.periodOf(key, &lim, 0, now)
	if err != nil {
		return d, err
	}
	b := budget(&lim)
	if trial {
		l.holds.Begin(id, cost, now)
	}
	l.ledger.TakeInto((*ledger.Decision)(&d), id, &b, cost, now)
	if trial || !d.Allowed {
		l.holds.Settle((*ledger.Decision)(&d), id, &b, cost, now, trial)
	}
	(*ledger.Decision)(&d).Trim(end - now)
	return d, nil
}

// Keep settles a Hold: what it took is spent. w is the Window of its Decision.
func (l *Local) Keep(key string, lim Limit, cost int64, w Window) {
	if w.Noted() && check(key, &lim, cost) == nil {
		if id, err := l.id(key, &lim, w); err == nil {
			l.holds.End(id, cost)
		}
	}
}

// id stands for the budget of key under a limit. An aligned limit becomes that of the period that w
// was in.
func (l *Local) id(key string, lim *Limit, w Window) (ledger.ID, error) {
	if lim.Align != AlignNone {
		id, _, err := l.periodOf(key, lim, w, l.clock())
		return id, err
	}
	return l.hasher.ID(key, lim.Window, ledger.Algorithm(lim.Algorithm)), nil
}

// Give puts cost back into the current window of the budget of key under l, never more
// than was taken from it in this window. Its errors are those of Take.
func (l *Local) Give(ctx context.Context, key string, lim Limit, cost int64) error {
	return l.Refund(ctx, key, lim, cost, 0)
}

// Refund settles a Hold: it puts cost back into the window w that its Decision named,
// however late, as long as that window counts. Its errors are those of Take.
func (l *Local) Refund(ctx context.Context, key string, lim Limit, cost int64, w Window) error {
	if err := check(key, &lim, cost); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	id, err := l.id(key, &lim, w)
	if err != nil {
		return err
	}
	b := budget(&lim)
	l.ledger.Refund(id, b, cost, l.clock(), w)
	if w.Noted() {
		l.holds.End(id, cost)
	}
	return nil
}

// Reset makes the budget of key under l whole again, at once: nothing of it is taken any more,
// and a token bucket is full. What is refunded later of a Hold made before is refunded all the
// same. Its errors are those of Take.
func (l *Local) Reset(ctx context.Context, key string, lim Limit) error {
	if err := check(key, &lim, 0); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	id, err := l.id(key, &lim, 0)
	if err != nil {
		return err
	}
	l.ledger.Reset(id, budget(&lim), l.clock())
	return nil
}

// Stats reads the counters.
func (l *Local) Stats() Stats { return Stats(l.ledger.Stats()) }
