package limiter

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

const million = 1_000_000

// benchLimit has so long a window that none ends while a benchmark runs.
var benchLimit = Per(MaxQuota, MaxWindow)

func mustTake(b *testing.B, l *Local, key string, lim Limit) {
	if _, err := l.Take(context.Background(), key, lim, 1); err != nil {
		b.Error(err)
	}
}

func BenchmarkTakeHot(b *testing.B) {
	for _, lim := range []Limit{benchLimit, sliding(MaxQuota, time.Hour), bucket(million, time.Hour, 0)} {
		b.Run(lim.Algorithm.String(), func(b *testing.B) {
			l := NewLocal(Config{})
			b.ReportAllocs()
			for b.Loop() {
				mustTake(b, l, "key", lim)
			}
		})
	}
}

func BenchmarkTakeParallelHot(b *testing.B) {
	l := NewLocal(Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mustTake(b, l, "key", benchLimit)
		}
	})
}

func BenchmarkTakeDenied(b *testing.B) {
	for _, lim := range []Limit{Per(1, MaxWindow), sliding(1, MaxWindow), bucket(1, MaxWindow, 0)} {
		b.Run(lim.Algorithm.String(), func(b *testing.B) {
			l := NewLocal(Config{})
			mustTake(b, l, "key", lim)
			b.ReportAllocs()
			for b.Loop() {
				mustTake(b, l, "key", lim)
			}
		})
	}
}

// BenchmarkTakeKnowing takes from a bucket that others counted before: after a hand-over,
// until their slots end.
func BenchmarkTakeKnowing(b *testing.B) {
	for others := range 4 {
		b.Run(strconv.Itoa(others), func(b *testing.B) {
			g, id, lim := NewLedger(1, 100), idIn(5, 0), bucket(million, time.Hour, 0)
			for o := range others {
				other := NewLedger(Origin(2+o), 100)
				other.Take(id, lim, 1, t0, all)
				for _, s := range slots(other) {
					g.Merge(s, t0, 0)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Take(id, lim, 1, t0, all)
			}
		})
	}
}

func BenchmarkGive(b *testing.B) {
	l := NewLocal(Config{})
	mustTake(b, l, "key", Per(MaxQuota, time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Give(context.Background(), "key", Per(MaxQuota, time.Hour), 1); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkTakeMillion takes from a million keys, all as likely. A key is written
// down for each take, as that of a request is: picking it from a list of a million
// strings would measure two more cache misses, which are the list's.
func BenchmarkTakeMillion(b *testing.B) {
	l := NewLocal(Config{MaxKeys: 2 * million})
	for i := range million {
		mustTake(b, l, "user:"+strconv.Itoa(i), benchLimit)
	}
	b.Run("serial", func(b *testing.B) {
		r, buf := rand.New(rand.NewPCG(1, 1)), []byte("user:")
		b.ReportAllocs()
		for b.Loop() {
			buf = strconv.AppendInt(buf[:5], r.Int64N(million), 10)
			mustTake(b, l, string(buf), benchLimit)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var seed atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			r, buf := rand.New(rand.NewPCG(1, seed.Add(1))), []byte("user:")
			for pb.Next() {
				buf = strconv.AppendInt(buf[:5], r.Int64N(million), 10)
				mustTake(b, l, string(buf), benchLimit)
			}
		})
	})
}

// BenchmarkInsert takes from keys never seen before: while there is room, and when
// each costs another its place.
func BenchmarkInsert(b *testing.B) {
	for name, most := range map[string]int{"growing": 1 << 30, "full": 100_000, "small-and-full": 100} {
		b.Run(name, func(b *testing.B) {
			g, r := NewLedger(1, most), rand.New(rand.NewPCG(1, 1))
			for range min(most, 100_000) {
				g.Take(ID{r.Uint64(), r.Uint64()}, benchLimit, 1, t0, all)
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Take(ID{r.Uint64(), r.Uint64()}, benchLimit, 1, t0, all)
			}
		})
	}
}

// BenchmarkMerge joins news of known slots.
func BenchmarkMerge(b *testing.B) {
	g, r := NewLedger(1, million), rand.New(rand.NewPCG(1, 1))
	slots := make([]Slot, 100_000)
	for i := range slots {
		slots[i] = Slot{ID: ID{r.Uint64(), r.Uint64()}, Origin: Origin(2 + i%3), At: t5, Cur: 1, Version: 1, Expires: uint32(t5 / 1e9)}
		g.Merge(slots[i], t0, 0)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s := &slots[i%len(slots)]
		s.Version++
		if !g.Merge(*s, t0, 0) {
			b.Fatal("no news")
		}
	}
}

// BenchmarkCollect flushes a thousand changed slots of one partition.
func BenchmarkCollect(b *testing.B) {
	g, n := NewLedger(1, million), 0
	setHolders(g, 5, 0b1, 0)
	for b.Loop() {
		for i := range 1000 {
			g.Take(idIn(5, i), benchLimit, 1, t0, all)
		}
		g.Collect(5, 0, 1000, t0, func(Slot) { n++ })
	}
	if n != b.N*1000 {
		b.Fatal("a slot was not sent once per flush")
	}
}

// BenchmarkMillionLiveKeys reports what a million live keys cost: bytes of heap for
// each, and the time of one collection of garbage, the middle one of several.
func BenchmarkMillionLiveKeys(b *testing.B) {
	for _, lim := range []Limit{benchLimit, bucket(1, MaxWindow, 0)} {
		b.Run(lim.Algorithm.String(), func(b *testing.B) { benchMillionLiveKeys(b, lim) })
	}
}

func benchMillionLiveKeys(b *testing.B, lim Limit) {
	var perKey, gc float64
	took := make([]time.Duration, 9)
	for b.Loop() {
		before := heap()
		l := NewLocal(Config{MaxKeys: 2 * million})
		buf := []byte("user:")
		for i := range million {
			buf = strconv.AppendInt(buf[:5], int64(i), 10)
			mustTake(b, l, string(buf), lim)
		}
		perKey += float64(heap()-before) / million
		for i := range took {
			start := time.Now()
			runtime.GC()
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		gc += float64(took[len(took)/2].Microseconds()) / 1000
		if n := l.Stats().Keys; n < million-10 {
			b.Fatal(n, "live keys")
		}
	}
	b.ReportMetric(perKey/float64(b.N), "bytes/key")
	b.ReportMetric(gc/float64(b.N), "ms/GC")
}

// BenchmarkGrowth takes once from each of ten million keys, and reports how long the
// slowest takes were: that is what growing costs, and on a busy machine also what
// the scheduler does to a process.
func BenchmarkGrowth(b *testing.B) {
	const keys = 10 * million
	for b.Loop() {
		l, took, buf := NewLocal(Config{MaxKeys: keys}), make([]time.Duration, keys), []byte("user:")
		runtime.GC()
		for i := range took {
			buf = strconv.AppendInt(buf[:5], int64(i), 10)
			start := time.Now()
			mustTake(b, l, string(buf), benchLimit)
			took[i] = time.Since(start)
		}
		slices.Sort(took)
		over, _ := slices.BinarySearch(took, time.Millisecond)
		b.ReportMetric(float64(took[keys/2]), "p50-ns")
		b.ReportMetric(float64(took[keys-keys/10_000])/1000, "p99.99-us")
		b.ReportMetric(float64(took[keys-keys/100_000])/1000, "p99.999-us")
		b.ReportMetric(float64(took[keys-1])/1000, "max-us")
		b.ReportMetric(float64(keys-over), "over-1ms")
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
