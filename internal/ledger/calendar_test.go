package ledger

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPeriods(t *testing.T) {
	var zones Zones
	for _, c := range []struct {
		align                Align
		zone, at, start, end string // RFC 3339
		hours                int
	}{
		{AlignDay, "", "2026-11-26T20:00:00Z", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z", 24},
		{AlignDay, "Europe/Berlin", "2026-11-26T23:30:00Z", "2026-11-26T23:00:00Z", "2026-11-27T23:00:00Z", 24},
		{AlignDay, "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23},
		{AlignDay, "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25},
		{AlignDay, "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", 23}, // begins at 1 o'clock
		{AlignDay, "Pacific/Apia", "2011-12-31T12:00:00Z", "2011-12-31T10:00:00Z", "2012-01-01T10:00:00Z", 24},      // the day before was left out
		{AlignDay, "Asia/Amman", "2021-10-28T21:30:00Z", "2021-10-28T21:00:00Z", "2021-10-29T22:00:00Z", 25},        // 1 o'clock became 0 o'clock
		{AlignDay, "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", 25},    // and does still
		{AlignMonth, "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z", 30*24 + 1},
		{AlignDay, "Antarctica/Casey", "2023-03-08T18:30:00Z", "2023-03-08T13:00:00Z", "2023-03-09T16:00:00Z", 27}, // 3 o'clock became 0 o'clock
		{AlignDay, "Australia/Lord_Howe", "2026-04-05T00:00:00Z", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", 24},
		{AlignWeek, "", "2026-11-26T20:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z", 168},
		{AlignWeek, "", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z", 168},
		{AlignWeek, "", "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z", 168},
		{AlignWeek, "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z", 167},
		{AlignMonth, "", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", 29 * 24},
		{AlignMonth, "", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", 31 * 24},
		{AlignMonth, "Asia/Tokyo", "2026-02-28T15:00:00Z", "2026-02-28T15:00:00Z", "2026-03-31T15:00:00Z", 31 * 24},
	} {
		zone, err := zones.Zone(c.zone)
		require.NoError(t, err)
		at, err := time.Parse(time.RFC3339, c.at)
		require.NoError(t, err)
		start, end := c.align.Period(at, zone)
		assert.Equal(t, c.start, start.UTC().Format(time.RFC3339), "%s %s", c.zone, c.at)
		assert.Equal(t, c.end, end.UTC().Format(time.RFC3339), "%s %s", c.zone, c.at)
		assert.Equal(t, c.hours, int(end.Sub(start).Hours()), "%s %s", c.zone, c.at)
	}
}

// Whatever the zone and the instant: it lies in its period, the next one begins where that ends, and
// of all instants of one period the period is the same.
func TestPeriodsTileTime(t *testing.T) {
	var zones Zones
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"", "Europe/Berlin", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "Pacific/Apia", "America/Havana", "Asia/Amman", "Antarctica/Casey", "Asia/Tehran", "Australia/Lord_Howe"} {
		zone, err := zones.Zone(name)
		require.NoError(t, err)
		for range 3000 {
			a := Align(1 + rng.IntN(3))
			at := time.Unix(rng.Int64N(60*365*86400), rng.Int64N(1e9))
			start, end := a.Period(at, zone)
			require.False(t, at.Before(start) || !at.Before(end), "%s %v: %v to %v", name, at, start, end)
			again, _ := a.Period(start, zone)
			require.True(t, again.Equal(start), "%s %v", name, at)
			_, last := a.Period(end.Add(-1), zone)
			require.True(t, last.Equal(end), "%s %v", name, at)
			next, _ := a.Period(end, zone)
			require.True(t, next.Equal(end), "%s %v", name, at)
			require.NotEqual(t, end.In(zone).Day(), end.Add(-1).In(zone).Day(), "%s %v: %v", name, at, end)
		}
	}
}

// The tile of a period's id is the period, with what it is longer before and after; each period
// has an id of its own, in the partition of the key.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	h := NewLocalHasher()
	for range 20_000 {
		key := string(rune(rng.IntN(1000)))
		at := time.Unix(rng.Int64N(100*365*86400)-30*365*86400, 0)
		start, end := Align(1+rng.IntN(3)).Period(at, time.UTC)
		from, to := start.UnixNano(), end.UnixNano()
		w := Tile(from, to)
		base := h.ID(key, w, FixedWindow)
		id := Tiled(base, w, to)
		require.Equal(t, base.Partition(), id.Partition())
		for _, now := range []int64{from - int64(CalendarLead), at.UnixNano(), to + int64(CalendarLead) - 1} {
			require.Equal(t, to+int64(CalendarLead), windowEnd(id, int64(w), now), "%v", at)
		}
		after, then := AlignDay.Period(end, time.UTC)
		next := Tile(after.UnixNano(), then.UnixNano())
		require.NotEqual(t, id, Tiled(h.ID(key, next, FixedWindow), next, then.UnixNano()))
	}
}

func TestZones(t *testing.T) {
	var zones Zones
	for _, bad := range []string{"Local", "Europe/Nowhere", "../etc/passwd", "\x00"} {
		_, err := zones.Zone(bad)
		require.Error(t, err, bad)
	}
}
