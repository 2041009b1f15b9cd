package client

import (
	"net/http"
	"strings"
	"time"
)

const (
	// farthest is the longest wait that is believed, as long as the longest window
	// that weir has. Beyond it a header is more likely broken than patient.
	farthest = 366 * 24 * time.Hour
	// latest is how far in the past a reset may lie: clocks differ, answers dawdle.
	latest = 24 * time.Hour
	// digitsMax is how long a number may be: what RFC 9651 gives an Integer, and
	// short enough that arithmetic in int64 cannot overflow.
	digitsMax = 15
)

// single returns the one value of a header. The key must be canonical. Several
// values that differ are none, since nothing says which of them is meant.
func single(h http.Header, key string) (string, bool) {
	values := h[key]
	if len(values) == 0 {
		return "", false
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return "", false
		}
	}
	return strings.Trim(values[0], " \t"), true
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
	if date, dated := dateOf(h); dated {
		if after, ok = until(at, date); ok {
			return at, after, true
		}
	}
	// A Date that makes no sense of the value may come from a proxy, or from a
	// machine without a clock; ours is the second opinion.
	after, ok = until(at, now)
	return at, after, ok
}

// until is the time from now to at, not below 0, if at is anywhere near now.
func until(at, now time.Time) (time.Duration, bool) {
	d := at.Sub(now)
	if d > farthest || d < -latest {
		return 0, false
	}
	return max(d, 0), true
}

// dateOf returns the server's clock when it sent the answer.
func dateOf(h http.Header) (time.Time, bool) {
	v, ok := single(h, "Date")
	if !ok {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v)
	return t, err == nil
}

// retryAfter reads Retry-After: seconds (with a fraction, as some servers send it),
// or a date, of which only the distance from the answer's own Date counts.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v, ok := single(h, "Retry-After")
	if !ok || v == "" {
		return 0, false
	}
	if isDigit(v[0]) {
		return period(v)
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	if date, dated := dateOf(h); dated {
		now = date
	}
	d := at.Sub(now)
	if d > farthest {
		return 0, false
	}
	return max(d, 0), true
}
