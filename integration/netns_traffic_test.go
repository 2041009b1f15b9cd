//go:build linux

package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-go/weir/limiter"
)

// nsTraffic is takes on the nodes of a town, at a steady pace, until it is stopped.
type nsTraffic struct {
	keys    []string
	limit   func(key string) limiter.Limit
	seen    func(n *nsNode, key string, d limiter.Decision) // called for each answer, one at a time
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu       sync.Mutex // guards what follows
	admitted map[string]int64
	answers  int
	degraded int
	failures []string
	slowest  time.Duration
	slow     int64 // answers that took as long as a call may, and so may have been counted twice
}

// startNsTraffic lets workers take 1 from the keys in turn, each once per pace, and each
// from the next node whose gate is open. nodes is asked each time.
func startNsTraffic(t *testing.T, tr *nsTraffic, nodes func() []*nsNode, workers int, pace time.Duration) *nsTraffic {
	ctx, cancel := context.WithCancel(t.Context())
	tr.cancel, tr.admitted = cancel, map[string]int64{}
	for i := range workers {
		tr.workers.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for n := i; ctx.Err() == nil; n++ {
				all := nodes()
				if node := all[n%len(all)]; node.gate.TryRLock() {
					if slices.Contains(nodes(), node) { // still, now that the gate is held
						tr.once(ctx, node, tr.keys[(n/len(all)+i)%len(tr.keys)])
					}
					node.gate.RUnlock()
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(tr.stop)
	return tr
}

func (tr *nsTraffic) once(ctx context.Context, n *nsNode, key string) {
	began := time.Now()
	// Not cut short by stop: what is under way will be counted, so it must be seen.
	d, err := n.take(context.WithoutCancel(ctx), key, tr.limit(key), 1)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	took := time.Since(began) // with the lock: seen knows the moment of the take to so much
	tr.answers++
	tr.slowest = max(tr.slowest, took)
	if took >= n.town.callTimeout/callShare {
		tr.slow++
	}
	switch {
	case err != nil:
		tr.failures = append(tr.failures, fmt.Sprintf("%v: %q: %v", n, key, err))
		return
	case d.Allowed:
		tr.admitted[key]++
	}
	if d.Degraded {
		tr.degraded++
	}
	if tr.seen != nil {
		tr.seen(n, key, d)
	}
}

// callShare is which part of a call timeout the shortest wait for one peer is.
const callShare = 4

// stop ends the traffic, and returns when nothing is under way.
func (tr *nsTraffic) stop() {
	tr.cancel()
	tr.workers.Wait()
}

// sums is what was admitted for each key so far.
func (tr *nsTraffic) sums() map[string]int64 {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return maps.Clone(tr.admitted)
}

// more waits for so many more answers.
func (tr *nsTraffic) more(t *testing.T, answers int) {
	t.Helper()
	count := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.answers
	}
	until := count() + answers
	eventually(t, func() bool { return count() >= until }, "the traffic stands still")
}

// String says what became of the traffic.
func (tr *nsTraffic) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return fmt.Sprintf("%d answers, %d degraded, %d failed, slowest %v", tr.answers, tr.degraded, len(tr.failures),
		tr.slowest.Round(100*time.Microsecond))
}

// quietly does something while nothing is under way to any node: a request whose answer is
// lost when the network or the ring changes may be counted twice, and then no sum would be
// exact.
func (w *town) quietly(do func()) {
	nodes := w.on()
	for _, n := range nodes {
		n.gate.Lock()
	}
	defer func() {
		for _, n := range nodes {
			n.gate.Unlock()
		}
	}()
	do()
}
