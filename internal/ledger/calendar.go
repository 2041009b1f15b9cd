package ledger

import "time"

// How windows of the calendar are counted in windows that tile time evenly. A day, a week or a
// month of a time zone is a budget of its own: a window of its true length, under an id whose
// phase lies so that one tile is the period. The ledger knows nothing of it, nor does whoever
// carries, copies or leases the budget.

// Align is a period of the calendar. Package limiter tells users what each is.
type Align uint8

const (
	AlignNone Align = iota
	AlignDay
	AlignWeek
	AlignMonth
)

// CalendarLead is by how much a tile is longer than its period, before and after: so far a clock
// may be from that of who decides without counting in another tile.
const CalendarLead = 10 * time.Second

// Period is the period in which t lies, in a zone: a day that has 23 or 25 hours where clocks are
// put forward or back, a week from Monday on, a month of its true length.
func (a Align) Period(t time.Time, zone *time.Location) (start, end time.Time) {
	y, m, d := t.In(zone).Date()
	weekday := (int(t.In(zone).Weekday()) + 6) % 7 // days since Monday
	at := func(n int) time.Time {                  // the start of the period that is n later
		switch a {
		case AlignWeek:
			return midnight(y, m, d-weekday+7*n, zone)
		case AlignMonth:
			return midnight(y, m+time.Month(n), 1, zone)
		default:
			return midnight(y, m, d+n, zone)
		}
	}
	n := 0 // other than 0 where a date was left out, or came twice
	if t.Before(at(0)) {
		n = -1
	} else if !t.Before(at(1)) {
		n = 1
	}
	return at(n), at(n + 1)
}

// midnight is the first instant of a day. Where clocks are put forward at midnight there is none,
// and the day begins when they are. Where they are put back to it, or from soon after it, there
// are two, and the day begins with the first.
func midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	since, until := t.ZoneBounds()
	if t.Day() != time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Day() {
		if !until.IsZero() {
			return until
		}
	} else if !since.IsZero() {
		_, now := t.Zone()
		_, before := since.Add(-1).Zone()
		if first := t.Add(time.Duration(now-before) * time.Second); first.Before(since) && first.Before(t) {
			return first
		}
	}
	return t
}

// Tile is the length of the tile of a period.
func Tile(start, end int64) time.Duration { return time.Duration(end-start) + 2*CalendarLead }

// Tiled is the id of a period's budget, whose tiles of that length end when the period does, and
// CalendarLead later. base is the id of the key under the tile's length.
func Tiled(base ID, tile time.Duration, end int64) ID {
	w := int64(tile)
	phase := int64(base.Hi >> 1)
	left := (end + int64(CalendarLead)) % w
	if left < 0 {
		left += w
	}
	phase += left - phase%w
	if phase < 0 { // beyond the largest number
		phase -= w
	}
	return ID{Hi: uint64(phase)<<1 | base.Hi&1, Lo: base.Lo}
}

// Trim makes of a decision about a tile one about its period, of which so much is left.
func (d *Decision) Trim(left int64) {
	if d.RetryAfter >= CalendarLead {
		d.RetryAfter = time.Duration(left)
	}
	if !d.Degraded || d.ResetAfter >= CalendarLead {
		d.ResetAfter = time.Duration(left)
	}
}
