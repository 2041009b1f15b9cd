//go:build linux

package integration

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/integration/netnslab"
	"github.com/weir-go/weir/limiter"
)

const (
	splitQuota  = 50
	splitWindow = 30 * time.Second
	// The window that is cut has to have so much left, or the split may not be noticed in it;
	// and not more, or the next one takes long to come.
	cutWindowMin, cutWindowMax = splitWindow / 2, splitWindow * 4 / 5
	// keysPerMode are half held by nodes of side a and half by nodes of side b.
	keysPerMode = 4
)

// splitKey is a budget that is watched through a split.
type splitKey struct {
	name  string
	limit limiter.Limit
	onA   bool      // its holder was on side a before the cut
	first time.Time // end of the window of the cut

	mu       sync.Mutex // guards what follows
	admitted map[int64]int64
	denied   map[int64][2]bool // by side: whether it came to that
	story    []string          // of what was admitted, for a failure
}

// window is the number of the window that ends at a time; 0 is that of the cut. Ends are
// whole windows apart; to the nearest, since an answer takes a moment to get here.
func (k *splitKey) window(end time.Time) int64 {
	return int64((end.Sub(k.first)+splitWindow/2+100*splitWindow)/splitWindow - 100)
}

// seen notes an answer to side 0 or 1.
func (k *splitKey) seen(n *nsNode, side int, d limiter.Decision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if d.Allowed {
		window := k.window(now.Add(d.ResetAfter))
		k.admitted[window]++
		k.story = append(k.story, fmt.Sprintf("%s %v in window %d, %d left, degraded %v", now.Format("04:05.000"), n, window, d.Remaining, d.Degraded))
		return
	}
	// A minority that wants a quorum knows of no window.
	window := k.window(now.Add(splitWindow / 2))
	was := k.denied[window]
	was[side] = true
	k.denied[window] = was
}

// exhausted says whether both sides were denied in a window.
func (k *splitKey) exhausted(window int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.denied[window] == [2]bool{true, true}
}

// bounds are what the table allows: in windows that the cut or its noticing fell into, and
// in those that began later. Side a has three nodes of five.
func (k *splitKey) bounds() (cut, later int64) {
	others := int64(splitQuota * 3 / townSize) // the shares of the side that is cut off
	if k.onA {
		others = splitQuota * 2 / townSize
	}
	switch k.limit.Split {
	case limiter.SplitFull:
		return 2 * splitQuota, 2 * splitQuota
	case limiter.SplitQuorum:
		return splitQuota, splitQuota
	}
	return splitQuota + others, splitQuota
}

// A split of 3 to 2, with traffic on both sides throughout: each mode keeps its bound in
// the window of the cut and in later ones, that of the healing too; healed, everything is
// counted.
func splitModes(t *testing.T) {
	w := newTown(t, townSize, townSize, calm)
	a, b := []int{1, 2, 3}, []int{4, 5}
	isA := func(n *nsNode) bool { return slices.Contains(a, n.host) }
	keys := map[string]*splitKey{}
	var names []string
	for _, mode := range []limiter.Split{limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum} {
		for _, k := range w.splitKeys(mode, isA) {
			keys[k.name] = k
			names = append(names, k.name)
		}
	}
	exact := w.keysOf(ample, 2, isA)
	exact = append(exact, w.keysOf(ample, 2, func(n *nsNode) bool { return !isA(n) })...)
	buckets := w.splitBuckets(isA)
	tr := startNsTraffic(t, &nsTraffic{keys: slices.Concat(exact, names, slices.Collect(maps.Keys(buckets))),
		limit: func(name string) limiter.Limit {
			if k := keys[name]; k != nil {
				return k.limit
			}
			if buckets[name] != nil {
				return splitBucketLimit
			}
			return ample
		},
		seen: func(n *nsNode, name string, d limiter.Decision) {
			if b := buckets[name]; b != nil && d.Allowed {
				b.take(splitBucketLimit, time.Now())
			}
			side := 0
			if !isA(n) {
				side = 1
			}
			if k := keys[name]; k != nil {
				k.seen(n, side, d)
			}
		}}, func() []*nsNode { return w.on() }, nsWorkers, 15*time.Millisecond)
	tr.more(t, 5*len(tr.keys))

	w.quietly(func() { require.NoError(t, w.lab.Cut(netnslab.Bridge, a, b)) })
	w.awaitWhole(a...)
	w.awaitWhole(b...)
	noticed := time.Now()
	t.Log("noticed")
	for _, k := range keys {
		later := k.window(noticed) + 2 // window(noticed) is the one that ended by then
		if k.first.After(noticed) {
			later = 1
		}
		// Where noticing took long, the window begins a whole one after it, and a half.
		within(t, 2*splitWindow+patience, func() bool { return k.exhausted(later) }, "%s: window %d is not used up on both sides", k.name, later)
	}
	require.NoError(t, w.lab.Mend(netnslab.Bridge, a, b))
	mended := time.Now()
	w.awaitWhole()
	t.Logf("whole again after %v", time.Since(mended).Round(time.Millisecond))
	tr.stop()
	t.Log(tr)
	assert.Empty(t, tr.failures)
	for _, k := range keys {
		k.check(t, noticed)
	}
	for name, b := range buckets {
		w.requireOneBucket(name, splitBucketLimit, b, tr.slowest)
	}
	w.requireCounted(tr, exact) // there was traffic while it healed
}

// splitKeys finds keys for a mode, whose windows will last for a while.
func (w *town) splitKeys(mode limiter.Split, isA func(*nsNode) bool) (keys []*splitKey) {
	w.t.Helper()
	l := limiter.Per(splitQuota, splitWindow)
	l.Split = mode
	left := [2]int{keysPerMode / 2, keysPerMode / 2}
	for i := 0; left != [2]int{}; i++ {
		require.Less(w.t, i, 500, "no such keys")
		k := &splitKey{name: fmt.Sprintf("%v %d", mode, i), limit: l, admitted: map[int64]int64{}, denied: map[int64][2]bool{}}
		reset := w.on()[0].look(k.name, l).ResetAfter
		k.first = time.Now().Add(reset)
		if reset < cutWindowMin || reset > cutWindowMax {
			continue
		}
		k.onA = isA(w.holder(k.name, l))
		side := 1
		if k.onA {
			side = 0
		}
		if left[side] > 0 {
			left[side]--
			keys = append(keys, k)
		}
	}
	return keys
}

// check compares what was admitted with the bounds.
func (k *splitKey) check(t *testing.T, noticed time.Time) {
	cut, later := k.bounds()
	before := t.Failed()
	defer func() {
		if t.Failed() && !before {
			t.Logf("%s:\n%s", k.name, strings.Join(k.story, "\n"))
		}
	}()
	for n, sum := range k.admitted {
		begins := k.first.Add(time.Duration(n-1) * splitWindow)
		if begins.After(noticed) {
			assert.LessOrEqual(t, sum, later, "%s (held on side a: %v): in window %d, which began after the split was noticed", k.name, k.onA, n)
		} else {
			assert.LessOrEqual(t, sum, cut, "%s (held on side a: %v): in window %d, of the cut", k.name, k.onA, n)
		}
	}
	t.Logf("%s: held on side a: %v; admitted by window: %v", k.name, k.onA, k.admitted)
}
