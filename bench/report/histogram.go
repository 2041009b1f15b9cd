package report

import (
	"math/bits"
	"time"
)

const (
	subBits = 6 // 64 steps per doubling: a percentile is at most 1/64 too high
	subs    = 1 << subBits
	rows    = 64 - subBits
)

// Histogram counts durations in steps of about 1.6 %, without keeping them, so that a
// measurement of millions costs no memory that would disturb it. The zero value is
// empty. It is for one goroutine; [Histogram.Merge] brings several together.
type Histogram struct {
	counts [rows * subs]uint32
	total  uint64
	max    time.Duration
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[step(d)]++
	h.total++
	h.max = max(h.max, d)
}

// step is the place of a duration: exact up to 64 ns, then by its highest bits.
func step(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subs {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift*subs + int(v>>shift)
}

// ceiling is the longest duration that has a place.
func ceiling(i int) time.Duration {
	if i < subs {
		return time.Duration(i)
	}
	shift := i/subs - 1
	return time.Duration(uint64(i-shift*subs+1)<<shift - 1)
}

// Merge adds what another histogram counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Percentile is a duration that a share p, 0 to 1, of all do not exceed; 0 if there
// are none.
func (h *Histogram) Percentile(p float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(p*float64(h.total)+0.999999), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += uint64(n); seen >= rank {
			return min(ceiling(i), h.max)
		}
	}
	return h.max
}

// Count is how many durations were added.
func (h *Histogram) Count() int64 { return int64(h.total) }

// Max is the longest of them, exactly.
func (h *Histogram) Max() time.Duration { return h.max }
