package ledger

import (
	"fmt"
	"time"
)

// Algorithm says how a [Limit] counts. Package limiter tells users what each is for.
type Algorithm uint8

const (
	FixedWindow Algorithm = iota
	SlidingWindow
	TokenBucket
)

// String gives the name that policy files use, as limiter.Algorithm does.
func (a Algorithm) String() string {
	switch a {
	case FixedWindow:
		return "fixed-window"
	case SlidingWindow:
		return "sliding-window"
	case TokenBucket:
		return "token-bucket"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

const (
	// MaxQuota is the largest quota, burst and cost.
	MaxQuota = 1<<31 - 1
	// MaxWindow is the longest window, and the longest time in which a bucket refills.
	MaxWindow = 366 * 24 * time.Hour
)

// Limit is what a ledger needs to know of a limiter.Limit, which has been checked there, or
// of a share of one, whose Quota may be 0.
type Limit struct {
	Quota     int64
	Window    time.Duration
	Burst     int64 // of a TokenBucket; 0 means Quota
	Algorithm Algorithm
}

// Capacity is the most that can be taken at one instant from an untouched budget.
func (l Limit) Capacity() int64 {
	if l.Algorithm == TokenBucket && l.Burst > 0 {
		return l.Burst
	}
	return l.Quota
}

// Interval is the time in which a token bucket refills one token, rounded up so that
// rounding never admits more than the quota.
func (l Limit) Interval() int64 {
	return (int64(l.Window) + l.Quota - 1) / l.Quota
}

// Decision is the answer to one take. It is a limiter.Decision, field by field, so that one
// becomes the other at no cost; what its fields promise stands there.
type Decision struct {
	Allowed    bool
	Degraded   bool
	Tentative  bool
	Path       Path
	Remaining  int64
	ResetAfter time.Duration
	RetryAfter time.Duration
	Window     Window
}
