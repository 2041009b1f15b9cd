package limiter

import (
	"fmt"
	"time"

	"github.com/weir-go/weir/internal/ledger"
)

// Align makes the windows of a [Limit] those of the calendar, in the place of a Window: so that a
// daily quota ends at midnight. The periods have their true lengths: a month its days, a day 23
// or 25 hours where the zone's clocks are put forward or back.
type Align uint8

const (
	// AlignNone: windows of the length Window, from an instant of each key's own.
	AlignNone Align = Align(ledger.AlignNone)
	// AlignDay: from midnight to midnight.
	AlignDay Align = Align(ledger.AlignDay)
	// AlignWeek: from Monday's midnight on.
	AlignWeek Align = Align(ledger.AlignWeek)
	// AlignMonth: from the first day's midnight on.
	AlignMonth Align = Align(ledger.AlignMonth)
)

// String gives the name that policy files use.
func (a Align) String() string {
	switch a {
	case AlignNone:
		return "none"
	case AlignDay:
		return "day"
	case AlignWeek:
		return "week"
	case AlignMonth:
		return "month"
	}
	return fmt.Sprintf("Align(%d)", uint8(a))
}

// Daily is a quota per day of a time zone, by its name; "" is UTC.
func Daily(quota int64, zone string) Limit {
	return Limit{Quota: quota, Align: AlignDay, Zone: zone}
}

// Monthly is a quota per month of a time zone, by its name; "" is UTC.
func Monthly(quota int64, zone string) Limit {
	return Limit{Quota: quota, Align: AlignMonth, Zone: zone}
}

// Span is the length of the limit's windows; of an aligned limit that of a usual day or week, or
// of a long month.
func (l Limit) Span() time.Duration {
	const day = 24 * time.Hour
	switch l.Align {
	case AlignDay:
		return day
	case AlignWeek:
		return 7 * day
	case AlignMonth:
		return 31 * day
	}
	return l.Window
}

// validateAligned is Validate for what an aligned limit must not be.
func (l *Limit) validateAligned() error {
	switch {
	case l.Align > AlignMonth:
		return fmt.Errorf("limiter: %w: Align %d is unknown", ErrLimit, l.Align)
	case l.Window != 0:
		return fmt.Errorf("limiter: %w: Window %v is not for a limit that is aligned to the calendar", ErrLimit, l.Window)
	case l.Algorithm != FixedWindow:
		return fmt.Errorf("limiter: %w: Algorithm %v is not for a limit that is aligned to the calendar", ErrLimit, l.Algorithm)
	}
	return nil
}

// periodOf is the period of an aligned limit that a Window of it was in, or the current one if that
// is 0: its budget's id, and its end by the Local's clock. The limit becomes that of the period's
// tile. at is the current time.
func (l *Local) periodOf(key string, lim *Limit, of Window, at int64) (id ledger.ID, end int64, err error) {
	zone, err := l.zones.Zone(lim.Zone)
	if err != nil {
		return id, 0, fmt.Errorf("limiter: %w: Zone %q %w", ErrLimit, lim.Zone, err)
	}
	wall := l.wallAhead(at)
	if of.End() != 0 {
		at = of.End() - int64(ledger.CalendarLead) - 1
	}
	first, last := ledger.Align(lim.Align).Period(time.Unix(0, at+wall), zone)
	start, end := first.UnixNano()-wall, last.UnixNano()-wall
	lim.Align, lim.Zone, lim.Window = AlignNone, "", ledger.Tile(start, end)
	return ledger.Tiled(l.hasher.ID(key, lim.Window, ledger.FixedWindow), lim.Window, end), end, nil
}

// wallOff is by how much the wall clock may differ from what it was before days are moved.
const wallOff = 10 * time.Second

// wallAhead is what the wall clock is ahead of the Local's clock, which stands for an instant. It stays
// the same to the nanosecond, or a day would be counted in two budgets, until the wall clock was
// set, or the machine slept.
func (l *Local) wallAhead(at int64) int64 {
	now := time.Now
	if l.now != nil {
		now = l.now
	}
	was := l.ahead.Load()
	off := time.Duration(now().UnixNano() - at - was)
	if off.Abs() <= wallOff {
		return was
	}
	l.ahead.CompareAndSwap(was, was+int64(off.Round(time.Second)))
	return l.ahead.Load()
}
