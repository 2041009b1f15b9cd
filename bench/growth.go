package main

import (
	"context"
	"runtime"
	"time"

	"github.com/weir-go/weir/bench/report"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
)

// growthResult is what many keys cost weir's embedded limiter.
type growthResult struct {
	BytesPerKey float64
	Grow, Again timings // while it grows; and once more from each key, when it does not
	GC          time.Duration
}

// timings are how long takes took.
type timings struct {
	Mean    float64       // nanoseconds
	P9999   time.Duration // wall time, as the next two
	Longest time.Duration
	CPU     time.Duration // the longest in CPU time of the thread: preemption is not in it; 0 is not known
}

// measureGrowth takes once from each of so many keys, timing each take, and weighs
// the limiter then. MaxKeys leaves room, as growth and not eviction is the question.
func measureGrowth(keys int) (r growthResult, err error) {
	empty := heap()
	room := 1 << 10
	for room < keys+keys/2 {
		room *= 2
	}
	l := limiter.NewLocal(limiter.Config{MaxKeys: room})
	if r.Grow, err = takeFromEach(l, keys); err != nil {
		return r, err
	}
	r.BytesPerKey = float64(heap()-empty) / float64(keys)
	r.GC = collect()
	r.Again, err = takeFromEach(l, keys)
	runtime.KeepAlive(l)
	return r, err
}

// takeFromEach takes once from each of so many keys.
func takeFromEach(l *limiter.Local, keys int) (t timings, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, lim := context.Background(), limiter.Per(1000, 24*time.Hour)
	var took report.Histogram
	var sum time.Duration
	buf := []byte("user:000000000")
	for i := range keys {
		key := string(appendDigits(buf[:5], i))
		cpu, begin := threadCPU(), time.Now()
		d, err := l.Take(ctx, key, lim, 1)
		each := time.Since(begin)
		t.CPU = max(t.CPU, threadCPU()-cpu)
		if err != nil || !d.Allowed {
			return t, errDenied
		}
		took.Add(each)
		sum += each
	}
	t.Mean = float64(sum) / float64(keys)
	t.P9999, t.Longest = took.Percentile(0.9999), took.Max()
	return t, nil
}

// appendDigits writes nine digits, without the cost of fmt ten million times.
func appendDigits(b []byte, i int) []byte {
	for unit := 100_000_000; unit > 0; unit /= 10 {
		b = append(b, byte('0'+i/unit%10))
	}
	return b
}

// ringResult is what a change of members costs a node.
type ringResult struct {
	Table      time.Duration // to place all partitions on one member more
	Successors time.Duration // and to find every partition's successor
	Moved      float64       // share of the partitions that change owner
	Fair       float64       // the mean of what a member owns
	Slowest    time.Duration // of the look-ups of a successor
	Longest    time.Duration // of takes on another goroutine meanwhile
	P9999      time.Duration
}

// measureRing builds the table of one member more, while another goroutine takes
// from a limiter without a pause.
func measureRing(members int) (r ringResult, err error) {
	names := make([]string, members+1)
	for i := range names {
		names[i] = "node" + string(appendDigits(nil, i))
	}
	before, err := ring.New(names[:members])
	if err != nil {
		return r, err
	}
	stop, done := make(chan struct{}), make(chan report.Histogram)
	go func() { done <- takeUntil(stop) }()
	begin := time.Now()
	after, err := ring.New(names)
	r.Table = time.Since(begin)
	if err == nil {
		for part := range ring.Partitions {
			begin := time.Now()
			after.Holder(part, 1)
			r.Slowest = max(r.Slowest, time.Since(begin))
		}
		r.Successors = time.Since(begin) - r.Table
	}
	close(stop)
	took := <-done
	if err != nil {
		return r, err
	}
	r.Longest, r.P9999 = took.Max(), took.Percentile(0.9999)
	for part := range ring.Partitions {
		if before.Members()[before.Owner(part)] != after.Members()[after.Owner(part)] {
			r.Moved += 1.0 / ring.Partitions
		}
	}
	r.Fair = 1 / float64(members+1)
	return r, nil
}

// takeUntil takes from one key until it is told to stop, timing each.
func takeUntil(stop <-chan struct{}) (took report.Histogram) {
	l, ctx, lim := limiter.NewLocal(limiter.Config{}), context.Background(), limiter.Per(limiter.MaxQuota, time.Hour)
	for {
		select {
		case <-stop:
			return took
		default:
		}
		begin := time.Now()
		if _, err := l.Take(ctx, "key", lim, 1); err != nil {
			return took
		}
		took.Add(time.Since(begin))
	}
}
