package main

import (
	"errors"
	"sync"
	"time"

	"github.com/weir-go/weir/bench/contend"
)

// admissionArgs asks what a limiter within the child admits of too much.
type admissionArgs struct {
	Contender  string
	Quota      int64
	Keys       int
	Goroutines int
}

// measureAdmission takes three times the quota from every key, from several goroutines
// at once, and counts what is admitted of all keys. The window is a day, so that those
// that refill all the time give back nothing to speak of meanwhile.
func measureAdmission(a admissionArgs) (admitted int64, err error) {
	perGoroutine, err := makeLocal(a.Contender, contend.Budget{Quota: a.Quota, Window: 24 * time.Hour}, a.Keys)
	if err != nil {
		return 0, err
	}
	counts, errs := make([]int64, a.Goroutines), make([]error, a.Goroutines)
	var wg sync.WaitGroup
	for g := range a.Goroutines {
		take := perGoroutine()
		wg.Go(func() {
			for range 3 * int(a.Quota) / a.Goroutines {
				for k := range a.Keys {
					ok, err := take(userKey(k))
					if err != nil {
						errs[g] = err
						return
					}
					if ok {
						counts[g]++
					}
				}
			}
		})
	}
	wg.Wait()
	for _, c := range counts {
		admitted += c
	}
	return admitted, errors.Join(errs...)
}
