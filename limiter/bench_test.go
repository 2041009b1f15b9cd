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
