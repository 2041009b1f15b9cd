package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/weir-go/weir/bench/contend"
)

// localArgs asks for a measurement of a limiter within the child.
type localArgs struct {
	Contender  string
	Keys       int
	Goroutines int
	For        time.Duration
}

// localResult is what it costs.
type localResult struct {
	Take        float64 // nanoseconds of wall time, over all goroutines
	TakeListed  float64 // the same, with keys from a list
	Allocs      float64 // per take
	BytesPerKey float64
	GC          time.Duration
}

// errDenied would be a mistake of the measurement: the budget is ample.
var errDenied = errors.New("a take was denied, although the budget is ample")

// makeLocal builds a contender with room to spare: a limiter whose table is full
// measures something else.
func makeLocal(name string, b contend.Budget, keys int) (func() contend.Take, error) {
	for _, l := range contend.Locals {
		if l.Name == name {
			return l.Make(b, 2*max(keys, 1<<16))
		}
	}
	return nil, fmt.Errorf("no contender is called %q", name)
}

// measureHot takes from one key.
func measureHot(a localArgs) (r localResult, err error) {
	perGoroutine, err := makeLocal(a.Contender, contend.Ample, 1)
	if err != nil {
		return r, err
	}
	take := perGoroutine()
	turn := func(d time.Duration) (n int, took time.Duration, err error) {
		begin := time.Now()
		for took < d {
			for range 1000 {
				if ok, err := take("user:000123"); err != nil || !ok {
					return n, took, errors.Join(err, errDenied)
				}
			}
			n += 1000
			took = time.Since(begin)
		}
		return n, took, nil
	}
	if _, _, err = turn(a.For / 5); err != nil {
		return r, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, took, err := turn(a.For)
	runtime.ReadMemStats(&after)
	r.Take = float64(took) / float64(n)
	r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(n)
	return r, err
}

// userKey is a key that nobody else holds: what a contender keeps of it is counted.
func userKey(i int) string { return string(appendKey(nil, i)) }

func appendKey(b []byte, i int) []byte {
	return strconv.AppendInt(append(b, "user:"...), int64(1_000_000+i), 10) // all of one length
}

// measureMany fills a limiter with keys, weighs it, collects garbage, and then takes
// from keys at random.
func measureMany(a localArgs) (r localResult, err error) {
	empty := heap()
	perGoroutine, err := makeLocal(a.Contender, contend.Ample, a.Keys)
	if err != nil {
		return r, err
	}
	take := perGoroutine()
	for i := range a.Keys {
		if ok, err := take(userKey(i)); err != nil || !ok {
			return r, errors.Join(err, errDenied)
		}
	}
	r.BytesPerKey = float64(heap()-empty) / float64(a.Keys)
	r.GC = collect()
	if a.For == 0 {
		runtime.KeepAlive(perGoroutine)
		return r, nil
	}
	runtime.GC()
	built := func(i int, buf []byte) string { return string(appendKey(buf, i)) }
	if r.Take, err = uniform(perGoroutine, a, built); err != nil {
		return r, err
	}
	keys := make([]string, a.Keys)
	for i := range keys {
		keys[i] = userKey(i)
	}
	runtime.GC()
	r.TakeListed, err = uniform(perGoroutine, a, func(i int, _ []byte) string { return keys[i] })
	return r, err
}

// uniform takes from random keys on several goroutines, and returns the nanoseconds
// for one. Before it measures it warms up.
func uniform(perGoroutine func() contend.Take, a localArgs, key func(i int, buf []byte) string) (perTake float64, err error) {
	if _, _, err = turns(perGoroutine, a, key, a.For/5); err != nil {
		return 0, err
	}
	n, took, err := turns(perGoroutine, a, key, a.For)
	return float64(took) / float64(n), err
}

func turns(perGoroutine func() contend.Take, a localArgs, key func(i int, buf []byte) string, d time.Duration) (n int, took time.Duration, err error) {
	goroutines := a.Goroutines
	counts, errs := make([]int, goroutines), make([]error, goroutines)
	var wg sync.WaitGroup
	begin := time.Now()
	for g := range goroutines {
		take, rng := perGoroutine(), rand.New(rand.NewPCG(uint64(g), 7))
		wg.Go(func() {
			count, buf := 0, make([]byte, 0, 32)
			for time.Since(begin) < d {
				for range 1000 {
					if ok, err := take(key(rng.IntN(a.Keys), buf)); err != nil || !ok {
						errs[g] = errors.Join(err, errDenied)
						return
					}
				}
				count += 1000
			}
			counts[g] = count
		})
	}
	wg.Wait()
	took = time.Since(begin)
	for _, c := range counts {
		n += c
	}
	return n, took, errors.Join(errs...)
}

// heap is the bytes that are in use once all garbage is gone.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// collect is how long one collection takes: the middle of five.
func collect() time.Duration {
	var took [5]time.Duration
	for i := range took {
		begin := time.Now()
		runtime.GC()
		took[i] = time.Since(begin)
	}
	slices.Sort(took[:])
	return took[len(took)/2]
}
