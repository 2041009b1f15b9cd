package limiter

import (
	"context"
	"math/rand/v2"
	"runtime"
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
	l, lim := NewLocal(Config{}), Per(1, MaxWindow)
	mustTake(b, l, "key", lim)
	b.ReportAllocs()
	for b.Loop() {
		mustTake(b, l, "key", lim)
	}
}

// BenchmarkTakeMillion takes from a million keys, all as likely.
func BenchmarkTakeMillion(b *testing.B) {
	keys := make([]string, million)
	l := NewLocal(Config{MaxKeys: 2 * million})
	for i := range keys {
		keys[i] = "user:" + strconv.Itoa(i)
		mustTake(b, l, keys[i], benchLimit)
	}
	b.Run("serial", func(b *testing.B) {
		r := rand.New(rand.NewPCG(1, 1))
		b.ReportAllocs()
		for b.Loop() {
			mustTake(b, l, keys[r.IntN(million)], benchLimit)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		var seed atomic.Uint64
		b.RunParallel(func(pb *testing.PB) {
			r := rand.New(rand.NewPCG(1, seed.Add(1)))
			for pb.Next() {
				mustTake(b, l, keys[r.IntN(million)], benchLimit)
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
	g.SetHolders(5, 0b1, 0, t0)
	for b.Loop() {
		for i := range 1000 {
			g.Take(idIn(5, i), benchLimit, 1, t0, all)
		}
		g.Collect(5, 0b1, t0, func(_ Slot, ranks uint8) uint8 { n++; return ranks })
	}
	if n != b.N*1000 {
		b.Fatal("a slot was not sent once per flush")
	}
}

// BenchmarkMillionLiveKeys reports what a million live keys cost: bytes of heap for
// each, and the time of one collection of garbage.
func BenchmarkMillionLiveKeys(b *testing.B) {
	var perKey, gc float64
	for b.Loop() {
		before := heap()
		l := NewLocal(Config{MaxKeys: 2 * million})
		buf := []byte("user:")
		for i := range million {
			buf = strconv.AppendInt(buf[:5], int64(i), 10)
			mustTake(b, l, string(buf), benchLimit)
		}
		perKey += float64(heap()-before) / million
		start := time.Now()
		runtime.GC()
		gc += float64(time.Since(start).Microseconds()) / 1000
		if n := l.Stats().Keys; n < million-10 {
			b.Fatal(n, "live keys")
		}
	}
	b.ReportMetric(perKey/float64(b.N), "bytes/key")
	b.ReportMetric(gc/float64(b.N), "ms/GC")
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
