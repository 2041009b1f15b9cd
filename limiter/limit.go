package limiter

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// Algorithm says how a [Limit] counts.
type Algorithm uint8

const (
	// FixedWindow counts in windows that tile time: at most Quota per window.
	// Across the border of two windows up to twice the quota can pass in a short
	// time. It is the cheapest, and the only one whose budget comes back at once.
	FixedWindow Algorithm = Algorithm(ledger.FixedWindow)
	// SlidingWindow counts this window plus the last one weighted by how much of
	// it still lies within one Window of now. It smooths the border of two windows.
	SlidingWindow Algorithm = Algorithm(ledger.SlidingWindow)
	// TokenBucket refills one token every Window/Quota up to Burst, as the Generic
	// Cell Rate Algorithm (ITU-T I.371) in integer nanoseconds.
	TokenBucket Algorithm = Algorithm(ledger.TokenBucket)
)

// String gives the name that policy files use.
func (a Algorithm) String() string { return ledger.Algorithm(a).String() }

// Split says what a cluster that has fallen apart may admit for a [Limit].
// A single process ignores it.
type Split uint8

const (
	// SplitDefault takes the node's setting, which is SplitFull unless configured.
	SplitDefault Split = iota
	// SplitFull lets each side admit the whole quota: available, at most sides × quota.
	SplitFull
	// SplitShare lets each side admit quota × members it sees ÷ members known,
	// rounded down: available, and the sides together stay within the quota.
	SplitShare
	// SplitQuorum keeps the quota in every case, also in the window of a cut: a take is
	// answered when a majority of the cluster's voters has it, one round trip later than
	// otherwise. Whoever reaches no majority denies, marked Degraded. Nothing is leased.
	SplitQuorum
)

// String gives the name that policy files use.
func (s Split) String() string {
	switch s {
	case SplitDefault:
		return "default"
	case SplitFull:
		return "full"
	case SplitShare:
		return "share"
	case SplitQuorum:
		return "quorum"
	}
	return fmt.Sprintf("Split(%d)", uint8(s))
}

// Lease says whether a cluster may hand out parts of a [Limit]'s budget to the nodes
// that take from it much. What is handed out counts as spent at once, so nothing is
// ever admitted twice. A single process ignores it.
type Lease uint8

const (
	// LeaseAuto leases a budget to a node that forwards many takes a second from it.
	LeaseAuto Lease = iota
	// LeaseOff forwards every take: Remaining is exact.
	LeaseOff
	// LeaseAlways leases from the first take on.
	LeaseAlways
)

// String gives the name that policy files use.
func (l Lease) String() string {
	switch l {
	case LeaseAuto:
		return "auto"
	case LeaseOff:
		return "off"
	case LeaseAlways:
		return "always"
	}
	return fmt.Sprintf("Lease(%d)", uint8(l))
}

// Bounds of what a [Limit] and a key may be.
const (
	MaxQuota  = ledger.MaxQuota  // 2,147,483,647; also the largest Burst and cost
	MinWindow = time.Millisecond // shorter windows are finer than clocks agree
	MaxWindow = ledger.MaxWindow // 366 days, longer than any process keeps its memory
	MaxKeyLen = 1024             // bytes of a key
)

// Limit is a budget: Quota per Window. The zero value is not valid.
//
// It travels with every request, so nodes need no shared configuration. A budget
// belongs to a key, a Window and an Algorithm: another Quota or Burst applies at
// once to what is already spent, another Window or Algorithm starts a new budget.
type Limit struct {
	// Quota is how much may be taken per Window: 1 to MaxQuota.
	Quota int64
	// Window is the length of the window: MinWindow to MaxWindow.
	Window time.Duration
	// Burst is how much a full TokenBucket holds; 0 means Quota. The other
	// algorithms have no burst and refuse one.
	Burst int64
	// Algorithm is how to count; the zero value is FixedWindow.
	Algorithm Algorithm
	// Split is what a split cluster may admit; the zero value is the node's setting.
	Split Split
	// Lease is whether nodes may lease parts of the budget; the zero value is
	// LeaseAuto. While a budget is leased, Remaining is a lower bound.
	Lease Lease
	// Align makes the windows days, weeks or months, in the place of Window, which is 0 then. It
	// is for FixedWindow. They begin and end by the wall clock, in a cluster by the one that
	// most of the nodes agree on; if that is set by more than 10 s, a day's budget begins anew.
	Align Align
	// Zone is the time zone of an aligned limit by its name in the IANA database, such as
	// "Europe/Berlin"; "" is UTC. All nodes must know it: a program on machines without that
	// database imports time/tzdata.
	Zone string
}

// Per is a fixed window of quota per window.
func Per(quota int64, window time.Duration) Limit {
	return Limit{Quota: quota, Window: window}
}

// Sliding is a sliding window of quota per window.
func Sliding(quota int64, window time.Duration) Limit {
	return Limit{Quota: quota, Window: window, Algorithm: SlidingWindow}
}

// Bucket is a token bucket that refills quota tokens per window, evenly, and holds burst of
// them; a burst of 0 means quota.
func Bucket(quota int64, window time.Duration, burst int64) Limit {
	return Limit{Quota: quota, Window: window, Burst: burst, Algorithm: TokenBucket}
}

// ErrLimit is wrapped by every error about a [Limit] that cannot be.
var ErrLimit = errors.New("invalid limit")

// ErrCost is wrapped by every error about a cost that cannot be: negative, or
// larger than the limit can ever admit.
var ErrCost = errors.New("invalid cost")

// ErrKey is wrapped by every error about a key that cannot be: empty or over-long.
var ErrKey = errors.New("invalid key")

// Validate returns an error that wraps ErrLimit and names the field and its value,
// or nil.
func (l Limit) Validate() error {
	switch {
	case l.Quota < 1 || l.Quota > MaxQuota:
		return fmt.Errorf("limiter: %w: Quota %d is not within 1 to %d", ErrLimit, l.Quota, MaxQuota)
	case l.Align != AlignNone:
		if err := l.validateAligned(); err != nil {
			return err
		}
	case l.Zone != "":
		return fmt.Errorf("limiter: %w: Zone %q is only for a limit that is aligned to the calendar", ErrLimit, l.Zone)
	case l.Window < MinWindow || l.Window > MaxWindow:
		return fmt.Errorf("limiter: %w: Window %v is not within %v to %v", ErrLimit, l.Window, MinWindow, MaxWindow)
	}
	switch {
	case l.Algorithm > TokenBucket:
		return fmt.Errorf("limiter: %w: Algorithm %d is unknown", ErrLimit, l.Algorithm)
	case l.Split > SplitQuorum:
		return fmt.Errorf("limiter: %w: Split %d is unknown", ErrLimit, l.Split)
	case l.Lease > LeaseAlways:
		return fmt.Errorf("limiter: %w: Lease %d is unknown", ErrLimit, l.Lease)
	case l.Algorithm != TokenBucket && l.Burst != 0:
		return fmt.Errorf("limiter: %w: Burst %d is only for TokenBucket, not for %v", ErrLimit, l.Burst, l.Algorithm)
	case l.Burst < 0 || l.Burst > MaxQuota:
		return fmt.Errorf("limiter: %w: Burst %d is not within 0 to %d", ErrLimit, l.Burst, MaxQuota)
	}
	if _, err := ledger.LoadZone(l.Zone); l.Align != AlignNone && l.Zone != "" && err != nil {
		return fmt.Errorf("limiter: %w: Zone %q %w", ErrLimit, l.Zone, err)
	}
	if l.Algorithm == TokenBucket {
		if l.Quota > int64(l.Window) {
			return fmt.Errorf("limiter: %w: Quota %d in Window %v is more than one per nanosecond", ErrLimit, l.Quota, l.Window)
		}
		if l.Capacity() > int64(MaxWindow)/budget(&l).Interval() {
			return fmt.Errorf("limiter: %w: Burst %d takes longer than %v to refill", ErrLimit, l.Capacity(), MaxWindow)
		}
	}
	return nil
}

// Capacity is the most that can be taken at one instant from an untouched budget:
// the quota, or the burst of a token bucket.
func (l Limit) Capacity() int64 {
	if l.Algorithm == TokenBucket && l.Burst > 0 {
		return l.Burst
	}
	return l.Quota
}

// Check returns the error that Take gives for arguments that cannot be, or nil.
func Check(key string, l Limit, cost int64) error { return check(key, &l, cost) }

// check is Check. Nearly every limit is in order: that is settled by one expression for
// the window algorithms and one more for buckets, and what is not in order is put into
// words by the rest.
func check(key string, l *Limit, cost int64) error {
	if uint64(l.Quota-1) < MaxQuota && uint64(l.Window-MinWindow) <= uint64(MaxWindow-MinWindow) &&
		l.Split <= SplitQuorum && l.Lease <= LeaseAlways && l.Align == AlignNone && uint(len(key)-1) < MaxKeyLen &&
		(l.Algorithm < TokenBucket && l.Burst == 0 && uint64(cost) <= uint64(l.Quota) ||
			l.Algorithm == TokenBucket && l.bucketFits(cost)) {
		return nil
	}
	return checkSlow(key, *l, cost)
}

// bucketFits says whether burst and cost of a bucket can be, given that the rest can: a
// product in place of Validate's quotient.
func (l *Limit) bucketFits(cost int64) bool {
	most := l.Quota
	if l.Burst != 0 {
		most = l.Burst
	}
	refill, rest := bits.Mul64(uint64(most), uint64(budget(l).Interval()))
	return l.Quota <= int64(l.Window) && uint64(most-1) < MaxQuota && uint64(cost) <= uint64(most) &&
		refill == 0 && rest <= uint64(MaxWindow)
}

func checkSlow(key string, l Limit, cost int64) error {
	zone := l.Zone
	if l.Align != AlignNone {
		l.Zone = "" // who decides looks it up, and remembers it
	}
	if err := l.Validate(); err != nil {
		return err
	}
	l.Zone = zone
	if len(key) == 0 || len(key) > MaxKeyLen {
		return fmt.Errorf("limiter: %w: a length of %d bytes is not within 1 to %d", ErrKey, len(key), MaxKeyLen)
	}
	if cost < 0 {
		return fmt.Errorf("limiter: %w: Cost %d is negative", ErrCost, cost)
	}
	if cost > l.Capacity() {
		return fmt.Errorf("limiter: %w: Cost %d can never fit into a limit of %d", ErrCost, cost, l.Capacity())
	}
	return nil
}

// budget is what the ledger needs to know of a limit.
func budget(l *Limit) ledger.Limit {
	return ledger.Limit{Quota: l.Quota, Window: l.Window, Burst: l.Burst, Algorithm: ledger.Algorithm(l.Algorithm)}
}
