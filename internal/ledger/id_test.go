package ledger

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The hash, the partitions and the phases of windows are part of the protocol: two
// nodes that differ would disagree for ever. So the file changes only with the
// protocol's version.
func TestIDsAreGolden(t *testing.T) {
	var b bytes.Buffer
	limits := []Limit{per(1, time.Second), per(9, time.Minute), sliding(9, time.Minute), bucket(9, time.Minute, 3)}
	for _, secret := range []string{"", "weir"} {
		h := NewHasher([]byte(secret))
		for _, key := range []string{"x", "\x05login\t192.0.2.1", "\x05login\v2001:db8::1", string(make([]byte, 100))} {
			for _, l := range limits {
				id := h.ID(key, l.Window, l.Algorithm)
				fmt.Fprintf(&b, "secret %q key %q %v per %v: %016x%016x partition %d window ends at %v\n", secret, key,
					l.Algorithm, l.Window, id.Hi, id.Lo, id.Partition(), time.Duration(windowEnd(id, int64(l.Window), 0)))
			}
		}
	}
	name := filepath.Join("testdata", "ids.golden")
	if *update {
		require.NoError(t, os.WriteFile(name, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// A budget belongs to a key, a window and an algorithm.
func TestWhatMakesAnID(t *testing.T) {
	h, l := NewHasher([]byte("a")), per(10, time.Minute)
	id := h.ID("key", l.Window, l.Algorithm)

	seen := map[ID]string{}
	for _, window := range []time.Duration{time.Second, time.Minute, time.Minute + 1} {
		for a := FixedWindow; a <= TokenBucket; a++ {
			for _, key := range []string{"key", "kez", "ke", "key\x00"} {
				for _, secret := range []string{"a", "b"} {
					what := fmt.Sprint(secret, key, window, a)
					id := NewHasher([]byte(secret)).ID(key, window, a)
					require.Empty(t, seen[id], "%s has the same id", what)
					seen[id] = what
				}
			}
		}
	}
	// All budgets of one key are in one partition: one lock, one owner.
	assert.Equal(t, id.Partition(), h.ID("key", time.Hour, SlidingWindow).Partition())
}

func TestPartitionsAreEven(t *testing.T) {
	const perPartition = 200
	cluster, local, l := NewHasher(nil), NewLocalHasher(), per(1, time.Minute)
	for name, id := range map[string]func(key string) ID{
		"cluster": func(key string) ID { return cluster.ID(key, l.Window, l.Algorithm) },
		"local":   func(key string) ID { return local.ID(key, l.Window, l.Algorithm) },
	} {
		counts := [Partitions]int{}
		for i := range perPartition * Partitions {
			counts[id(fmt.Sprint("user ", i)).Partition()]++
		}
		for p, n := range counts { // more than six standard deviations would be no accident
			require.InDelta(t, perPartition, n, 90, "%s, partition %d", name, p)
		}
	}
}

// A Local's ids depend on key, window and algorithm like the cluster's, and on the
// Local: what is known of one process's ids says nothing of another's.
func TestLocalIDs(t *testing.T) {
	a, b, seen := NewLocalHasher(), NewLocalHasher(), map[ID]string{}
	for _, l := range []Limit{per(1, time.Minute), per(1, time.Hour), sliding(1, time.Minute), bucket(1, time.Minute, 0)} {
		for _, key := range []string{"key", "kez", "ke", "key\x00", string(make([]byte, 1024))} {
			for i, h := range []LocalHasher{a, b} {
				what, id := fmt.Sprint(i, key, l), h.ID(key, l.Window, l.Algorithm)
				require.Empty(t, seen[id], "%s has the same id", what)
				require.Equal(t, id, h.ID(strings.Clone(key), l.Window, l.Algorithm), what)
				seen[id] = what
			}
		}
	}
}

// Windows tile time: each instant is in one, all instants of one agree on its end,
// and the next begins where it ends.
func TestWindowsTileTime(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	for i := range propertyRuns {
		id := ID{Hi: r.Uint64()}
		w := max(int64(minWindow), magnitude(r, int64(MaxWindow)))
		now := r.Int64N(4*int64(MaxWindow)) - 2*int64(MaxWindow)
		end := windowEnd(id, w, now)
		inside := end - w + r.Int64N(w)
		if now < end-w || now >= end || windowEnd(id, w, inside) != end ||
			windowEnd(id, w, end-1) != end || windowEnd(id, w, end-w) != end || windowEnd(id, w, end) != end+w {
			require.Fail(t, "windows do not tile", "run %d: %v window %d now %d: end %d, and of %d: %d",
				i, id, w, now, end, inside, windowEnd(id, w, inside))
		}
	}
}

// Placement is part of the protocol: the one division of windowEnd gives what two
// give, phase and all.
func TestWindowEndAgainstTwoDivisions(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for i := range propertyRuns {
		id := ID{Hi: r.Uint64() >> r.IntN(64)}
		if i%16 == 0 {
			id.Hi = ^id.Hi
		}
		w := max(int64(minWindow), magnitude(r, int64(MaxWindow)))
		now := r.Int64N(8*int64(MaxWindow)) - 4*int64(MaxWindow)
		into := (now - int64(id.Hi>>1)%w) % w
		if into < 0 {
			into += w
		}
		if want := now - into + w; windowEnd(id, w, now) != want {
			require.Fail(t, "another window", "%v window %d now %d: end %d, want %d", id, w, now, windowEnd(id, w, now), want)
		}
	}
}

// Resets of different keys do not stampede: their phases fill the window.
func TestPhasesDiffer(t *testing.T) {
	h, tenths := NewHasher([]byte("phases")), [10]int{}
	const keys = 10_000
	for i := range keys {
		id := h.ID(fmt.Sprint(i), time.Minute, FixedWindow)
		left := windowEnd(id, int64(time.Minute), t0) - t0
		tenths[(left-1)/int64(time.Minute/10)]++
	}
	for i, n := range tenths {
		require.InDelta(t, keys/10, n, 200, "tenth %d of the minute", i)
	}
}

// A window's start is in it, and the instant before is not.
func TestWindowStart(t *testing.T) {
	id := ID{Hi: mix(1)}
	for _, l := range []Limit{per(1, w5), sliding(1, time.Minute)} {
		start := WindowStart(id, &l, t3)
		require.Equal(t, windowEnd(id, int64(l.Window), t3), windowEnd(id, int64(l.Window), start))
		require.Equal(t, start, windowEnd(id, int64(l.Window), start-1))
	}
	l := bucket(1, w5, 0)
	require.Equal(t, t3-int64(w5), WindowStart(id, &l, t3))
}
