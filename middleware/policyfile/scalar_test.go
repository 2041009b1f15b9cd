package policyfile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/middleware"
	"github.com/weir-go/weir/middleware/policyfile"
)

// A number is what every reader takes it for, or it is refused, in whatever field it is.
func TestNumbersAreDecimalOrRefused(t *testing.T) {
	fields := map[string]string{ // field to a file with a number in it, which may be 1 to 128
		"default[0].quota":                 "default: [{name: a, window: 1s, quota: %s}]",
		"default[0].burst":                 "default: [{name: a, window: 1s, quota: 9, algorithm: token-bucket, burst: %s}]",
		"default[0].cost":                  "default: [{name: a, window: 1s, quota: 128, cost: %s}]",
		"default[0].count.statuses[0]":     "default: [{name: a, window: 1s, quota: 9, count: {statuses: [%s]}}]",
		"default[0].plans.pro.quota":       "default: [{name: a, window: 1s, quota: 9, plan: {header: P}, plans: {pro: {quota: %s}}}]",
		"address.ipv6Prefix":               "address: {ipv6Prefix: %s}\ndefault: [{name: a, window: 1s, quota: 9}]",
		"address.hops":                     "address: {hops: %s}\ndefault: [{name: a, window: 1s, quota: 9}]",
		"default[0].key.client-ip.hops":    "default: [{name: a, window: 1s, quota: 9, key: {client-ip: {hops: %s}}}]",
		"routes[0].rules[0].quota":         "routes: [{pattern: /a, rules: [{name: a, window: 1s, quota: %s}]}]",
		"always[0].plans.free.burst":       "always: [{name: a, window: 1s, quota: 9, algorithm: token-bucket, plan: {header: P}, plans: {free: {quota: 9, burst: %s}}}]",
		"default[0].key.join[0].client-ip": "",
	}
	delete(fields, "default[0].key.join[0].client-ip")
	for field, file := range fields {
		for _, spelling := range []string{
			"020", "0x20", "0X1f", "0o17", "0b11", "2_0", "_2", "2_", "+20", "00", "-0", "1e1", "1.0", "20.", "1,0", "'20'", `"20"`,
			"٢٠", "２０", "20 21", "99999999999999999999", "0404", "1:30", ".inf", "~", "", "ten", "[20]", "{20: 1}", "1h",
		} {
			_, err := policyfile.Parse(fmt.Appendf(nil, file, spelling), policyfile.Options{})
			require.ErrorIs(t, err, middleware.ErrPolicy, "%s: %s", field, spelling)
			if spelling != "1,0" && spelling != "" { // which in brackets are two things, or none
				assert.ErrorContains(t, err, field, spelling)
			}
		}
		for _, spelling := range []string{"20", "1", "32", " 20", "20 # twenty"} {
			if strings.HasSuffix(field, "statuses[0]") {
				spelling = strings.NewReplacer("20", "204", "32", "320", "1", "100").Replace(spelling)
			}
			if strings.HasSuffix(file, "}]") {
				spelling = strings.TrimSuffix(spelling, " # twenty")
			}
			_, err := policyfile.Parse(fmt.Appendf(nil, file, strings.ReplaceAll(spelling, " # twenty", "")), policyfile.Options{})
			assert.NoError(t, err, "%s: %s", field, spelling)
		}
	}
}

// A duration has units, days and weeks among them; whatever else stands there is told
// what one looks like.
func TestDurations(t *testing.T) {
	parse := func(window string) (time.Duration, error) {
		p, err := policyfile.Parse(fmt.Appendf(nil, "default: [{name: a, quota: 1, window: %s}]", window), policyfile.Options{})
		if err != nil {
			return 0, err
		}
		return p.Default[0].Limit.Window, nil
	}
	const day = 24 * time.Hour
	for window, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1d": day, "1w": 7 * day, "366d": 366 * day, "1.5d": 36 * time.Hour, "1w2d3h4m5s": 9*day + 3*time.Hour + 4*time.Minute + 5*time.Second,
		"1m30s": 90 * time.Second, `"1h"`: time.Hour, "'2d'": 2 * day, "1ms": time.Millisecond, "1000us": time.Millisecond, "1000µs": time.Millisecond,
		"1000μs": time.Millisecond, "1000000ns": time.Millisecond, "0.5h": 30 * time.Minute, "52w": 364 * day, "007s": 7 * time.Second, "30s1m": 90 * time.Second,
	} {
		got, err := parse(window)
		require.NoError(t, err, window)
		assert.Equal(t, want, got, window)
		assertFits(t, fmt.Sprintf("default: [{name: a, quota: 1, window: %s}]", window))
	}
	for _, window := range []string{
		"90", "0", "'0'", "1.5", "90 s", "1 week", "1min", "1D", "1W", "1y", "1M", "P1D", "-5m", "+5m", ".5m", "5.m", "1_0s", "0x1s", "1e3s", "1..5s", "s", "d", "1h 30m", "1,5h",
		"every minute", "1:30", "~", "''", "[1m]", "{m: 1}", "1dd", "1mm", "1sm", "99999999999999999999d", "true", "2024-01-01",
	} {
		_, err := parse(window)
		require.ErrorIs(t, err, middleware.ErrPolicy, window)
		if window != "1,5h" { // in braces a comma ends it
			assert.ErrorContains(t, err, "is not a duration such as 90s, 5m, 24h or 7d", window)
		}
	}
	for _, window := range []string{"367d", "53w", "8785h", "99999w", "0s", "1ns", "999us", "0d", "999999d999999d999999d999999d"} {
		_, err := parse(window)
		assert.ErrorContains(t, err, "is not within 1ms to", window)
	}
}

// A quota of 0 is said on purpose, and blocks: nothing else in a file may be 0.
func TestZeros(t *testing.T) {
	p, err := policyfile.Parse([]byte("default: [{name: a, quota: 0, window: 1m, plan: {header: P}, plans: {none: {quota: 0}, some: {quota: 5}}}]"), policyfile.Options{})
	require.NoError(t, err)
	assert.Zero(t, p.Default[0].Limit.Quota)
	assert.Equal(t, time.Minute, p.Default[0].Plans["none"].Window)
	assertFits(t, "default: [{name: a, quota: 0, window: 1m}]")
	for _, rule := range []string{
		"window: 0s", "quota: 0, window: 0s", "quota: 5, window: 1m, cost: 0", "quota: 5, window: 1m, algorithm: token-bucket, burst: 0",
		"quota: 0, window: 1m, algorithm: token-bucket, burst: 0", "quota: 5, window: 1m, count: {statuses: [0]}", "quota: '0', window: 1m", "window: 1m",
	} {
		_, err := policyfile.Parse([]byte("default: [{name: a, "+rule+"}]"), policyfile.Options{})
		assert.ErrorIs(t, err, middleware.ErrPolicy, rule)
	}
}
