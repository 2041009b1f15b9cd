//go:build linux

package integration

import (
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/limiter"
)

// rollingWorkers each make a request every rollingPace.
const (
	rollingPace    = 20 * time.Millisecond
	rollingWorkers = rollingRate * int(rollingPace) / int(time.Second)
	rollingKeys    = 50
)

// Each of five nodes is told to end, and started again, under load. As a load balancer
// does, the load goes round a node from before its end until it is ready again. Nobody
// sees an error, and no count is lost.
func rollingRestart(t *testing.T) {
	w := newTown(t, townSize, townSize, calm)
	keys := w.lasting(ample, rollingKeys)
	var mu sync.Mutex // guards nodes
	nodes := w.on()
	tr := startNsTraffic(t, &nsTraffic{keys: keys, limit: isAmple}, func() []*nsNode {
		mu.Lock()
		defer mu.Unlock()
		return nodes
	}, rollingWorkers, rollingPace)
	began := time.Now()
	tr.more(t, rollingRate)
	for host := 1; host <= townSize; host++ {
		n := w.nodes[host]
		mu.Lock()
		nodes = slices.DeleteFunc(w.on(), func(x *nsNode) bool { return x == n })
		mu.Unlock()
		n.gate.Lock() // nothing is under way to it
		assert.Equal(t, 0, n.end(syscall.SIGTERM), "%v leaves gracefully", n)
		w.start(host)
		w.awaitWhole()
		mu.Lock()
		nodes = w.on()
		mu.Unlock()
		tr.more(t, rollingRate/4)
	}
	tr.stop()
	t.Logf("%v; %.0f a second of %d", tr, float64(tr.answers)/time.Since(began).Seconds(), rollingRate)
	assert.Empty(t, tr.failures)
	assert.Zero(t, tr.degraded)
	for key, admitted := range tr.admitted {
		w.requireExact(ample, key, admitted)
	}
}

// spendOn takes up to so many from a key, in turn on the nodes of some hosts or all, and
// counts what was admitted.
func (w *town) spendOn(key string, l limiter.Limit, takes int, hosts ...int) (admitted int64) {
	w.t.Helper()
	nodes := w.on(hosts...)
	for i := range takes {
		d, err := nodes[i%len(nodes)].take(w.t.Context(), key, l, 1)
		require.NoError(w.t, err)
		if d.Allowed {
			admitted++
		}
	}
	return admitted
}

// awaitShipped waits until what nodes admitted has been copied: their counts of copies do
// not change for so long that even a busy machine flushed in between.
func awaitShipped(t *testing.T, nodes ...*nsNode) {
	t.Helper()
	var last []int64
	since := time.Now()
	eventually(t, func() bool {
		var shipped []int64
		var behind time.Duration
		for _, n := range nodes {
			s := n.stats()
			shipped, behind = append(shipped, s.Shipped), behind+s.Behind
		}
		if behind > 0 || !slices.Equal(shipped, last) {
			last, since = shipped, time.Now()
		}
		return time.Since(since) > busyFlushes*flush/2
	}, "%v never stop shipping", nodes)
}

// tenPerDay is the limit of which 4 are spent, and then 6 are left, whatever happened.
var tenPerDay = limiter.Per(10, 24*time.Hour)

// spendFour takes 4 of each of some keys.
func (w *town) spendFour() (keys []string) {
	w.t.Helper()
	keys = w.lasting(tenPerDay, 20)
	for _, key := range keys {
		require.Equal(w.t, int64(4), w.spendOn(key, tenPerDay, 4), key)
	}
	return keys
}

func (w *town) requireSix(keys []string) {
	w.t.Helper()
	for _, key := range keys {
		assert.Equal(w.t, int64(6), w.spendOn(key, tenPerDay, 20), key)
	}
}

// Every node is killed and started again, flushes after the last: exactly what was left
// is left.
func killOneAfterAnother(t *testing.T) {
	w := newTown(t, 3, 3, calm)
	keys := w.spendFour()
	for host := 1; host <= 3; host++ {
		awaitShipped(t, w.on()...)
		assert.Equal(t, -1, w.nodes[host].end(syscall.SIGKILL))
		w.start(host)
		w.awaitWhole()
	}
	w.requireSix(keys)
}

// From three nodes to four, to eight, and to three that were not there at first.
func scale(t *testing.T) {
	w := newTown(t, 3, 8, calm)
	keys := w.spendFour()
	w.start(4)
	w.awaitWhole()
	for host := 5; host <= 8; host++ {
		w.start(host)
	}
	w.awaitWhole()
	for host := 1; host <= 5; host++ {
		assert.Equal(t, 0, w.nodes[host].end(syscall.SIGTERM), "node%d leaves gracefully", host)
	}
	w.awaitWhole()
	w.requireSix(keys)
}

// The owner of budgets is killed under load. Callers of the others see no error, and go on
// with the count known at the last flush: the budget is spent to the last request, and no
// further.
func killedOwner(t *testing.T) {
	w := newTown(t, townSize, townSize, calm)
	owner := w.nodes[townSize]
	others := w.on(1, 2, 3, 4)
	held := w.keysOf(ample, 5, func(n *nsNode) bool { return n == owner })
	from := w.ownedAddress(owner)
	got := tally{admitted: townSize}
	w.askTimes(&got, 40, from, w.on())
	awaitShipped(t, owner)

	tr := startNsTraffic(t, &nsTraffic{keys: held, limit: isAmple}, func() []*nsNode { return others },
		nsWorkers, 10*time.Millisecond)
	tr.more(t, 100)
	assert.Equal(t, -1, owner.end(syscall.SIGKILL))
	w.askTimes(&got, 100, from, others) // long before gossip tells that the owner is gone
	tr.more(t, 100)
	w.awaitWhole()
	tr.more(t, 100)
	tr.stop()
	t.Log("load:", tr)
	t.Logf("requests: slowest %v", got.slowest.Round(100*time.Microsecond))
	assert.Empty(t, tr.failures)
	assert.Zero(t, got.failed, "%v", got.failures)
	assert.Equal(t, pageQuota, got.admitted, "of one budget, over the crash")
	assert.Equal(t, got.admitted+got.refused-townSize, got.marked, "every answer has the headers")
}

// A node stands still for longer than gossip waits, and goes on. What it had admitted is
// counted again, and what it is asked before it has understood that it was replaced does
// not admit more than is left.
func stoppedOwner(t *testing.T) {
	const timeout = 200 * time.Millisecond
	w := newTown(t, townSize, townSize, timeout)
	owner := w.nodes[townSize]
	limit := limiter.Per(100, 24*time.Hour)
	keys := w.keysOf(limit, 3, func(n *nsNode) bool { return n == owner })
	admitted := map[string]int64{}
	for _, key := range keys {
		admitted[key] += w.spendOn(key, limit, 20)
	}
	awaitShipped(t, owner)
	for _, key := range keys { // and these, perhaps, nobody else knows when it stops
		admitted[key] += w.spendOn(key, limit, 5, townSize)
	}
	owner.signal(syscall.SIGSTOP)
	stopped := time.Now()
	for _, key := range keys {
		admitted[key] += w.spendOn(key, limit, 20, 1, 2, 3, 4)
	}
	w.awaitWhole(1, 2, 3, 4)
	for _, key := range keys {
		admitted[key] += w.spendOn(key, limit, 20, 1, 2, 3, 4)
		require.Equal(t, int64(65), admitted[key], key)
	}
	// These are waiting for it when it wakes up.
	var mu sync.Mutex // guards late
	late := map[string]int64{}
	var wg sync.WaitGroup
	for _, key := range keys {
		for range 20 {
			wg.Go(func() {
				d, err := owner.take(t.Context(), key, limit, 1)
				assert.NoError(t, err)
				if d.Allowed {
					mu.Lock()
					late[key]++
					mu.Unlock()
				}
			})
		}
	}
	<-time.After(5*time.Second - time.Since(stopped)) // longer than the suspicion, and than any call lives
	owner.signal(syscall.SIGCONT)
	wg.Wait()
	w.awaitWhole()
	for _, key := range keys {
		admitted[key] += late[key]
		admitted[key] += w.spendOn(key, limit, 100)
		assert.Equal(t, limit.Quota, admitted[key], key)
	}
	t.Logf("admitted to those who waited for it: %v", late)
}
