package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/limiter"
)

// The rows of the failure table, as a node sees them: five known, so many of them with it.
func TestOvershoot(t *testing.T) {
	l, bucket := limiter.Per(100, time.Minute), limiter.Bucket(10, time.Minute, 40)
	cut := 10 * time.Minute
	for _, c := range []struct {
		name       string
		l          limiter.Limit
		mode       limiter.Split
		with, down int
		age, want  time.Duration
	}{
		{"full, whole", l, limiter.SplitFull, 5, 0, cut, 0},
		{"full, two gone", l, limiter.SplitFull, 3, 0, cut, 200},
		{"full, long after", l, limiter.SplitFull, 3, 0, cut + time.Hour, 200},
		{"full, one of those left does not answer", l, limiter.SplitFull, 3, 1, cut, 300},
		{"full, a bucket's burst", bucket, limiter.SplitFull, 4, 0, cut, 40},
		{"share, whole", l, limiter.SplitShare, 5, 0, cut, 0},
		{"share, in the window of the cut", l, limiter.SplitShare, 3, 0, cut + time.Minute - 1, 40},
		{"share, in later ones", l, limiter.SplitShare, 3, 0, cut + time.Minute, 0},
		{"share, a sliding window counts longer", limiter.Sliding(100, time.Minute), limiter.SplitShare, 3, 0, cut + time.Minute, 40},
		{"share, a bucket until it is full", bucket, limiter.SplitShare, 3, 0, cut + 4*time.Minute - 1, 16},
		{"share, one does not answer", l, limiter.SplitShare, 5, 1, cut + time.Hour, 20},
		{"share, shares are rounded down", limiter.Per(4, time.Minute), limiter.SplitShare, 5, 1, cut + time.Hour, 0},
		{"quorum, two gone, one does not answer", l, limiter.SplitQuorum, 3, 1, cut, 0},
	} {
		v := &view{sets: membership.Size{With: c.with, Base: 5}, wasCut: true, cutAt: cut}
		require.EqualValues(t, c.want, v.overshoot(c.mode, &c.l, c.down, c.age), c.name)
	}
}
