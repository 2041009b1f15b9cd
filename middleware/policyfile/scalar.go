package policyfile

import (
	"strconv"
	"strings"
	"time"

	"github.com/weir-go/weir/limiter"
)

// decimal reads a whole number as every reader of a file reads it, or not at all. To YAML
// 020 is sixteen in one version and twenty in the next, 0x20 is a number, and 2_000 is
// one in some programs only.
func decimal(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' && s != "0" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

const (
	day  = 24 * time.Hour
	week = 7 * day
	// longest is what a longer duration is read as: no window, and far from overflow.
	longest = limiter.MaxWindow + time.Hour
)

// duration reads a sum such as 1m30s, of the units of time.ParseDuration, days and weeks.
// It has no sign.
func duration(s string) (sum time.Duration, ok bool) {
	for s != "" {
		number := len(s) - len(strings.TrimLeft(s, "0123456789."))
		unit := len(s[number:]) - len(strings.TrimLeft(s[number:], "nuµμmshdw"))
		one, ok := component(s[:number], s[number:number+unit])
		if !ok {
			return 0, false
		}
		sum = min(sum+one, longest)
		s = s[number+unit:]
		if s == "" {
			return sum, true
		}
	}
	return 0, false
}

// perWindow reads a quota and a window such as 100/m or 20/15m: one of the unit, or as many as
// stand before it.
func perWindow(s string) (quota int64, window time.Duration, ok bool) {
	number, per, _ := strings.Cut(s, "/")
	if quota, ok = decimal(number); !ok {
		return 0, 0, false
	}
	if per != "" && per[0] != '.' && (per[0] < '0' || per[0] > '9') {
		per = "1" + per // not of .5s, which would be 1.5s
	}
	window, ok = duration(per)
	return quota, window, ok
}

// component is a number and its unit.
func component(number, unit string) (time.Duration, bool) {
	if number == "" || unit == "" || number[0] == '.' || number[len(number)-1] == '.' {
		return 0, false
	}
	times := time.Duration(1)
	switch unit {
	case "d":
		times, unit = day/time.Hour, "h"
	case "w":
		times, unit = week/time.Hour, "h"
	}
	one, err := time.ParseDuration(number + unit)
	return min(one, longest) * times, err == nil
}
