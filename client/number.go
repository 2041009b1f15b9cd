package client

import (
	"net/http"
	"strings"
	"time"
)

const (
	// farthest is the most distant reset that is believed, as long as the longest
	// window that weir has. Beyond it a header is more likely broken than patient.
	farthest = 366 * 24 * time.Hour
	// waitMax is what a longer Retry-After counts as: nobody waits that long, and
	// arithmetic with it cannot overflow.
	waitMax = 100 * farthest
	// latest is how far in the past a reset may lie: clocks differ, answers dawdle.
	latest = 24 * time.Hour
	// digitsMax is how long a number may be: what RFC 9651 gives an Integer, and
	// short enough that arithmetic in int64 cannot overflow.
	digitsMax = 15
	// valueMax is how long a number or a date may be, listMax a structured field,
	// all lines of the header together. What is longer counts as absent, so that
	// reading costs microseconds whatever a server sends.
	valueMax, listMax = 256, 4 << 10
)

// joined is a header's value, its lines put together as RFC 9110 (section 5.3) has
// it: other languages' HTTP libraries never show them apart.
func joined(lines []string, most int) (string, bool) {
	if len(lines) == 1 && len(lines[0]) <= most {
		return lines[0], true // the usual case, without a copy
	}
	size := -2 // one separator less than lines
	for _, line := range lines {
		if size += len(line) + 2; size > most {
			return "", false // before the next line is looked at, or anything is copied
		}
	}
	return strings.Join(lines, ", "), len(lines) > 0
}

// single returns the one value of a header. The key must be canonical. Of several
// equal values it is the one; values that differ stay together, and mean nothing to
// whoever expects one.
func single(h http.Header, key string) (string, bool) {
	v, ok := joined(h[key], valueMax)
	v = strings.Trim(v, " \t")
	for i := 0; ; {
		next := strings.Index(v[i:], ", ")
		if next < 0 {
			return v, ok
		}
		i += next + 2
		// Copies of v[:i-2] are what is left if the value moved by i is itself.
		if (len(v)+2)%i == 0 && v[i:] == v[:len(v)-i] {
			return v[:i-2], ok
		}
	}
}

// decimal reads digits, optionally followed by a point and digits: whole units and
// billionths, the latter rounded up. Signs, spaces and exponents are refused.
func decimal(s string) (whole, billionths int64, ok bool) {
	i := 0
	// By hand, as strconv takes signs and underscores, and floats lose whole numbers.
	for ; i < len(s) && isDigit(s[i]); i++ {
		if i == digitsMax {
			return 0, 0, false
		}
		whole = whole*10 + int64(s[i]-'0')
	}
	if i == 0 || i == len(s) {
		return whole, 0, i > 0
	}
	if s[i] != '.' || i+1 == len(s) {
		return 0, 0, false
	}
	unit, rest := int64(100_000_000), false
	for _, c := range []byte(s[i+1:]) {
		if !isDigit(c) {
			return 0, 0, false
		}
		billionths += int64(c-'0') * unit
		rest = rest || unit == 0 && c != '0'
		unit /= 10
	}
	if rest {
		billionths++
	}
	return whole, billionths, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// count reads a number of requests. Some servers write 598.0; a true fraction of a
// request is nothing that can be sent, so it is unknown.
func count(s string) (int64, bool) {
	n, fraction, ok := decimal(s)
	if !ok || fraction != 0 {
		return 0, false
	}
	return n, true
}

// period reads a number of seconds, 0 to farthest.
func period(s string) (time.Duration, bool) {
	whole, billionths, ok := decimal(s)
	if !ok || whole > int64(farthest/time.Second) {
		return 0, false
	}
	// Checked in seconds first, as 15 digits of them do not fit into a Duration.
	d := time.Duration(whole)*time.Second + time.Duration(billionths)
	if d > farthest {
		return 0, false
	}
	return d, true
}

// instant reads a Unix time in seconds and says how long it is from now, by the
// clock that the server shows in Date, or else by ours.
func instant(s string, h http.Header, now time.Time) (at time.Time, after time.Duration, ok bool) {
	whole, billionths, ok := decimal(s)
	if !ok {
		return time.Time{}, 0, false
	}
	at = time.Unix(whole, billionths)
	for _, clock := range clocks(h, now) {
		if after, ok = until(at, clock); ok {
			return at, after, true
		}
	}
	return at, 0, false
}

// clocks are the server's and ours, the one to believe first. That is the server's,
// unless the two are more than a day apart: such a Date comes from a stale copy, or
// from a machine without a clock, and is a second opinion at best.
func clocks(h http.Header, now time.Time) [2]time.Time {
	v, ok := single(h, "Date")
	date, dated := parseDate(v)
	switch {
	case !ok || !dated:
		return [2]time.Time{now, now}
	case date.Sub(now).Abs() > latest:
		return [2]time.Time{now, date}
	}
	return [2]time.Time{date, now}
}

// until is the time from now to at, not below 0, if at is anywhere near now.
func until(at, now time.Time) (time.Duration, bool) {
	d := at.Sub(now)
	if d > farthest || d < -latest {
		return 0, false
	}
	return max(d, 0), true
}

// parseDate reads an HTTP-date in the three forms of RFC 9110, to the letter: the
// time package alone would take fractions of seconds and any name of a zone.
func parseDate(s string) (time.Time, bool) {
	layout := time.ANSIC
	if strings.HasSuffix(s, " GMT") {
		if layout = time.RFC850; len(s) == len(http.TimeFormat) {
			layout = http.TimeFormat
		}
	}
	// Short first: a failed parse keeps copies of what it was given.
	if len(s) > len("Wednesday, 24-Nov-25 16:00:42 GMT") || strings.Contains(s, ".") {
		return time.Time{}, false
	}
	t, err := time.Parse(layout, s)
	return t, err == nil
}

// retryAfter reads Retry-After: seconds (with a fraction, as some servers send it),
// or a date, of which only the distance from the server's clock counts. However
// long it is, it is a wait: taken for unknown, it would be retried in vain.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v, ok := single(h, "Retry-After")
	if !ok || v == "" {
		return 0, false
	}
	if isDigit(v[0]) {
		return patience(v)
	}
	at, ok := parseDate(v)
	if !ok {
		return 0, false
	}
	both := clocks(h, now)
	for _, clock := range both {
		if d, ok := until(at, clock); ok {
			return d, true
		}
	}
	return min(max(at.Sub(both[0]), 0), waitMax), true
}

// patience reads a number of seconds of any length.
func patience(s string) (time.Duration, bool) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	short := s
	if digits > digitsMax {
		short = s[digits-digitsMax:] // for the syntax of what follows
	}
	whole, billionths, ok := decimal(short)
	if !ok {
		return 0, false
	}
	if strings.Trim(s[:len(s)-len(short)], "0") != "" || whole >= int64(waitMax/time.Second) {
		return waitMax, true
	}
	return time.Duration(whole)*time.Second + time.Duration(billionths), true
}
