package limiter

import (
	"context"
	"crypto/rand"
	"time"
)

// DefaultMaxKeys is how many keys a limiter holds unless told otherwise: at most
// about 64 MiB.
const DefaultMaxKeys = 1 << 20

// Config is the configuration of a [Local]. The zero value is good.
type Config struct {
	// MaxKeys is how many budgets are held at most; 0 or less means
	// DefaultMaxKeys. When
	// more are in use, those that lose least are forgotten first.
	MaxKeys int
	// Now is the clock; nil means time.Now. Only differences between its readings
	// matter, and with time.Now these are monotonic.
	Now func() time.Time
}

// Local is a limiter for one process. It has the same Take and Give as a node of a
// cluster. It is safe for concurrent use, has no goroutine, and needs no Close.
type Local struct {
	ledger *Ledger
	hasher Hasher
	now    func() time.Time
	start  time.Time
}

// NewLocal makes a limiter.
func NewLocal(c Config) *Local {
	if c.MaxKeys <= 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	return &Local{NewLedger(1, c.MaxKeys), NewHasher(secret[:]), c.Now, c.Now()}
}

// clock starts a year late, so that windows before the first have times as well.
func (l *Local) clock() int64 { return int64(MaxWindow) + int64(l.now().Sub(l.start)) }

// Take takes cost from the budget of key under l, or says why not and when. A cost
// of 0 looks and takes nothing. The error is one of ErrKey, ErrLimit and ErrCost,
// or the context's; the context is otherwise not used, since nothing waits.
func (l *Local) Take(ctx context.Context, key string, lim Limit, cost int64) (Decision, error) {
	if err := Check(key, lim, cost); err != nil {
		return Decision{}, err
	}
	if err := ctx.Err(); err != nil {
		return Decision{}, err
	}
	return l.ledger.Take(l.hasher.ID(key, lim), lim, cost, l.clock(), Share{}), nil
}

// Give puts cost back into the budget of key under l, never more than was taken
// from it in this window. Its errors are those of Take.
func (l *Local) Give(ctx context.Context, key string, lim Limit, cost int64) error {
	if err := Check(key, lim, cost); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.ledger.Give(l.hasher.ID(key, lim), lim, cost, l.clock())
	return nil
}

// Stats reads the counters.
func (l *Local) Stats() Stats { return l.ledger.Stats() }
