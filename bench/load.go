package main

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/bench/contend"
	"github.com/weir-go/weir/bench/report"
)

// loadArgs asks a member to take for some time, or some number of takes.
type loadArgs struct {
	Callers int
	For     time.Duration
	Takes   int64 // if not 0: this many in all, within For
	Budget  contend.Budget
	Untimed bool // no percentiles: for takes so cheap that a clock reading would show
}

// loadResult is what came of it.
type loadResult struct {
	Takes     int64
	Admitted  int64
	Errors    int64
	Error     string // the first
	Anomalies int64
	Forwarded int64 // -1 if not known
	Took      time.Duration
	Rate      float64 // takes per second that were answered
	Fastest   float64 // of the fastest member, where several took
	P50       time.Duration
	P99       time.Duration
	P9999     time.Duration
	Max       time.Duration
}

// load has callers take from the chosen keys at random, each waiting for its answer
// before it asks again.
func (p *process) load(a loadArgs) (loadResult, error) {
	before, forwarded := p.member.Anomalies(), p.member.Forwarded()
	var left atomic.Int64
	left.Store(a.Takes)
	var wg sync.WaitGroup
	callers := make([]caller, a.Callers)
	begin := time.Now()
	for i := range callers {
		c := &callers[i]
		c.take, c.rng = p.member.Taker(a.Budget), rand.New(rand.NewPCG(uint64(i), uint64(begin.UnixNano())))
		c.until = begin.Add(a.For)
		if a.Takes > 0 {
			c.left = &left
		}
		if a.Untimed {
			wg.Go(func() { c.runUntimed(p.keys) })
		} else {
			wg.Go(func() { c.run(p.keys) })
		}
	}
	wg.Wait()
	r := loadResult{Took: time.Since(begin), Anomalies: p.member.Anomalies() - before, Forwarded: -1}
	if forwarded >= 0 {
		r.Forwarded = p.member.Forwarded() - forwarded
	}
	var all report.Histogram
	for i := range callers {
		c := &callers[i]
		all.Merge(&c.latency)
		r.Takes += c.takes
		r.Admitted += c.admitted
		r.Errors += c.errors
		if c.first != nil && r.Error == "" {
			r.Error = c.first.Error()
		}
	}
	r.Rate = float64(r.Takes-r.Errors) / r.Took.Seconds()
	r.P50, r.P99, r.P9999, r.Max = all.Percentile(0.5), all.Percentile(0.99), all.Percentile(0.9999), all.Max()
	return r, nil
}

// caller is one goroutine that takes.
type caller struct {
	take     contend.Take
	rng      *rand.Rand
	until    time.Time
	left     *atomic.Int64 // nil is no bound
	latency  report.Histogram
	takes    int64
	admitted int64
	errors   int64
	first    error
}

// run times every take.
func (c *caller) run(keys []string) {
	now := time.Now()
	for now.Before(c.until) && c.another() {
		c.once(keys)
		end := time.Now()
		c.latency.Add(end.Sub(now))
		now = end
	}
}

// Between two looks at the clock an untimed caller takes up to turnMost times, but not
// for longer than about turnTime: callers that wait must not outlast the others.
const (
	turnMost = 64
	turnTime = 20 * time.Microsecond
)

func (c *caller) runUntimed(keys []string) {
	turn := 1
	for now := time.Now(); now.Before(c.until); {
		for range turn {
			if !c.another() {
				return
			}
			c.once(keys)
		}
		end := time.Now()
		if turn = min(2*turn, turnMost); end.Sub(now) > turnTime {
			turn = max(turn/4, 1)
		}
		now = end
	}
}

// another says whether there is one more take to do.
func (c *caller) another() bool { return c.left == nil || c.left.Add(-1) >= 0 }

func (c *caller) once(keys []string) {
	i := 0
	if len(keys) > 1 {
		i = c.rng.IntN(len(keys))
	}
	ok, err := c.take(keys[i])
	c.takes++
	if err != nil {
		c.errors++
		if c.first == nil {
			c.first = err
		}
	} else if ok {
		c.admitted++
	}
}
