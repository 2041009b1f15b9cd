//go:build linux

package integration

import (
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// splitBucketLimit refills faster than one side takes, and more slowly than both: what each
// side knows is refilled at once, and what both took is not.
var splitBucketLimit = limiter.Limit{Quota: 720, Window: time.Minute, Burst: 400, Algorithm: limiter.TokenBucket,
	Split: limiter.SplitFull, Lease: limiter.LeaseOff}

// oneBucket is a token bucket that sees every token which callers were granted. Calls come
// one at a time.
type oneBucket struct{ full time.Time }

// perToken is the time in which one token comes back.
func perToken(l limiter.Limit) time.Duration { return l.Window / time.Duration(l.Quota) }

func (b *oneBucket) take(l limiter.Limit, at time.Time) {
	if b.full.Before(at) {
		b.full = at
	}
	b.full = b.full.Add(perToken(l))
	if most := at.Add(time.Duration(l.Burst) * perToken(l)); b.full.After(most) {
		b.full = most
	}
}

// left is what it has left at a time.
func (b *oneBucket) left(l limiter.Limit, at time.Time) int64 {
	return l.Burst - int64(max(0, b.full.Sub(at))/perToken(l))
}

// splitBuckets finds two buckets that each side holds.
func (w *town) splitBuckets(isA func(*nsNode) bool) map[string]*oneBucket {
	w.t.Helper()
	buckets, left := map[string]*oneBucket{}, map[bool]int{true: 2, false: 2}
	for i := 0; len(buckets) < 4; i++ {
		require.Less(w.t, i, 500, "no such keys")
		name := fmt.Sprintf("bucket %d", i)
		if on := isA(w.holder(name, splitBucketLimit)); left[on] > 0 {
			left[on]--
			buckets[name] = &oneBucket{}
		}
	}
	return buckets
}

// requireOneBucket checks that all nodes agree on what a bucket has left, and that it is
// not more than one bucket would have: the moments of its tokens are known to the time that
// an answer takes.
func (w *town) requireOneBucket(name string, l limiter.Limit, b *oneBucket, slowest time.Duration) {
	w.t.Helper()
	var left []int64
	var truth, slack int64
	eventually(w.t, func() bool {
		began := time.Now()
		left = left[:0]
		for _, n := range w.on() {
			left = append(left, n.look(name, l).Remaining)
		}
		truth, slack = b.left(l, time.Now()), 1+int64(slowest/perToken(l))
		return slices.Max(left)-slices.Min(left) <= 1+int64(time.Since(began)/perToken(l)) && slices.Max(left) <= truth+slack
	}, "%q: the nodes say %v, one bucket would have %v", name, lazily(func() string { return fmt.Sprint(left) }),
		lazily(func() string { return fmt.Sprint(truth) }))
	w.t.Logf("%q: %v left, one bucket would have %d", name, left, truth)
	assert.LessOrEqual(w.t, slices.Max(left), truth+slack)
}
