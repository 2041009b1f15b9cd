package status

import (
	"sync"
	"time"

	"github.com/weir-go/weir/cluster"
)

const (
	step       = 2 * time.Second // between two samples
	samplesMax = 151             // five minutes of steps
)

// sample is a reading of what only grows.
type sample struct {
	at    time.Time
	paths [len(paths)]int64  // of the middleware's events
	takes [len(takers)]int64 // of the node's Stats
}

// takers are what the node itself counts of takes, whoever asked for them. Takes that it decides for
// itself, of budgets that it holds, it does not count: that would cost each of them something.
var takers = [...]string{"leased", "remembered", "forwarded", "successor", "alone", "undone"}

func takesOf(s *cluster.Stats) [len(takers)]int64 {
	return [...]int64{s.Leased, s.Remembered, s.Forwarded, s.Failovers - s.Degraded, s.Degraded, s.Undone}
}

// history are the last samples: a ring.
type history struct {
	mu   sync.Mutex // guards the rest
	ring [samplesMax]sample
	next int
	n    int
}

func (h *history) add(s sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring[h.next] = s
	h.next = (h.next + 1) % samplesMax
	h.n = min(h.n+1, samplesMax)
}

// all are the samples, the oldest first.
func (h *history) all() []sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]sample, 0, h.n)
	for i := range h.n {
		list = append(list, h.ring[(h.next-h.n+i+samplesMax)%samplesMax])
	}
	return list
}

// until are the samples and one of now, unless the last is only just past.
func (h *history) until(now sample) []sample {
	list := h.all()
	if last := len(list) - 1; now.at.Sub(list[last].at) < step/4 {
		return list
	}
	return append(list, now)
}

// Series is how often something happened, by the second.
type Series struct {
	Name string `json:"name"`
	// Now is the mean of the last ten seconds, and Mean that of all that is kept.
	Now  float64 `json:"now_per_second"`
	Mean float64 `json:"mean_per_second"`
	// PerSecond has a mean for each step, the oldest first.
	PerSecond []float64 `json:"per_second"`
}

// rates makes series of samples.
func rates(all []sample, names []string, of func(*sample) []int64) []Series {
	list := make([]Series, len(names))
	for i, name := range names {
		rate := func(from, to int) float64 {
			a, b := &all[from], &all[to]
			if passed := b.at.Sub(a.at).Seconds(); passed > 0 {
				return max(0, float64(of(b)[i]-of(a)[i])/passed)
			}
			return 0
		}
		s := Series{Name: name, PerSecond: []float64{}}
		for k := 1; k < len(all); k++ {
			s.PerSecond = append(s.PerSecond, rate(k-1, k))
		}
		if last := len(all) - 1; last > 0 {
			s.Now, s.Mean = rate(max(0, last-int(10*time.Second/step)), last), rate(0, last)
		}
		list[i] = s
	}
	return list
}
