//go:build linux

package integration

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/integration/netnslab"
	"github.com/weir-go/weir/limiter"
)

// fault is one way in which the nodes of side b are lost to those of side a, and found
// again.
type fault struct {
	name string
	b    []int // side a is everybody else
	// whole says that side b's nodes go on, and see each other.
	whole bool
	// unheard says that side b's nodes hear what they are asked, and are not heard. What
	// they count then may be counted again, by whoever is asked next.
	unheard bool
	// leaseOff: what a node has leased when it dies is withheld until the window ends, so
	// no sum would be exact.
	leaseOff   bool
	hit, clear func(w *town)
}

// faults are the ways of a network, and those of a process.
func faults() (all []fault) {
	for _, k := range netnslab.Kinds {
		a, b := []int{1, 2, 3}, []int{4, 5}
		if k == netnslab.Link { // which isolates each host of b
			a, b = []int{1, 2, 3, 4}, []int{5}
		}
		all = append(all, fault{name: "cut by " + k.String(), b: b, whole: true, unheard: k == netnslab.DropOneWay,
			hit: func(w *town) {
				if err := k.Usable(); err != nil {
					unavailable(w.t, err)
				}
				require.NoError(w.t, w.lab.Cut(k, a, b))
			},
			clear: func(w *town) { require.NoError(w.t, w.lab.Mend(k, a, b)) }})
	}
	return append(all,
		fault{name: "stopped", b: []int{townSize},
			hit:   func(w *town) { w.nodes[townSize].signal(syscall.SIGSTOP) },
			clear: func(w *town) { w.nodes[townSize].signal(syscall.SIGCONT) }},
		fault{name: "crashed", b: []int{townSize}, leaseOff: true,
			hit: func(w *town) {
				awaitShipped(w.t, w.nodes[townSize]) // what it had not would be lost
				assert.Equal(w.t, -1, w.nodes[townSize].end(syscall.SIGKILL))
			},
			clear: func(w *town) { w.start(townSize) }})
}

// kindKey is a budget of one kind: an algorithm, what to do in a split, and the side on
// which it is held.
type kindKey struct {
	limit  limiter.Limit
	bucket oneBucket // what a TokenBucket should be
}

// Limits that nothing here exhausts. The window does not end while a test runs; the bucket
// refills more slowly than it is taken from.
func kindLimit(a limiter.Algorithm, s limiter.Split) limiter.Limit {
	l := limiter.Limit{Quota: 1_000_000, Window: 24 * time.Hour, Algorithm: a, Split: s}
	if a == limiter.TokenBucket {
		l.Quota, l.Window, l.Burst = 12, time.Minute, 1000
	}
	return l
}

// kindKeys finds a budget of each kind.
func (w *town) kindKeys(isB func(*nsNode) bool, leaseOff bool) (names []string, keys map[string]*kindKey) {
	w.t.Helper()
	keys = map[string]*kindKey{}
	for _, a := range []limiter.Algorithm{limiter.FixedWindow, limiter.SlidingWindow, limiter.TokenBucket} {
		for _, s := range []limiter.Split{limiter.SplitFull, limiter.SplitShare, limiter.SplitQuorum} {
			l := kindLimit(a, s)
			if leaseOff {
				l.Lease = limiter.LeaseOff
			}
			found := [2]bool{}
			for i := 0; found != [2]bool{true, true}; i++ {
				require.Less(w.t, i, 500, "no such keys")
				name := fmt.Sprintf("%v %v %d", a, s, i)
				if a == limiter.FixedWindow && w.on()[0].look(name, l).ResetAfter < 10*patience {
					continue // the count of a sliding window is as good as whole for minutes after its end
				}
				side := 0
				if isB(w.holder(name, l)) {
					side = 1
				}
				if !found[side] {
					found[side] = true
					names = append(names, name)
					keys[name] = &kindKey{limit: l}
				}
			}
		}
	}
	return names, keys
}

// faultRun is a fault that is under way.
type faultRun struct {
	fault
	w     *town
	names []string
	keys  map[string]*kindKey
	side  [2]int64 // what sides a and b admitted

	mu    sync.Mutex // guards asked
	asked []*nsNode
}

// ask says who is to be asked from now on.
func (f *faultRun) ask(nodes []*nsNode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = nodes
}

func (f *faultRun) isB(n *nsNode) bool { return slices.Contains(f.b, n.host) }

// start lets workers take from all keys.
func (f *faultRun) start() *nsTraffic {
	return startNsTraffic(f.w.t, &nsTraffic{keys: f.names,
		limit: func(name string) limiter.Limit { return f.keys[name].limit },
		seen: func(n *nsNode, name string, d limiter.Decision) {
			if !d.Allowed {
				return
			}
			f.keys[name].bucket.take(f.keys[name].limit, time.Now())
			if f.isB(n) {
				f.side[1]++
			} else {
				f.side[0]++
			}
		}},
		func() []*nsNode {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.asked
		}, nsWorkers, 50*time.Millisecond)
}

// strike lets the fault happen, and waits until it is noticed. Until then only those are
// asked whose answers it does not lose; from then on, all who can answer.
func (f *faultRun) strike() {
	w, all, a := f.w, f.w.on(), slices.DeleteFunc(f.w.on(), f.isB)
	w.quietly(func() {
		switch {
		case f.unheard:
			f.ask(w.on(f.b...))
		case !f.whole:
			f.ask(a)
		}
		f.hit(w)
	})
	hit := time.Now()
	w.awaitWhole(hosts(a)...)
	if f.whole {
		w.awaitWhole(f.b...)
		f.ask(all)
	}
	w.t.Logf("noticed after %v", time.Since(hit).Round(time.Millisecond))
}

// heal ends the fault, and waits until all see all.
func (f *faultRun) heal() {
	f.w.quietly(func() {
		f.clear(f.w)
		cleared := time.Now()
		f.w.awaitWhole()
		f.w.t.Logf("whole again after %v", time.Since(cleared).Round(time.Millisecond))
	})
	f.ask(f.w.on())
}

// Whatever the fault, the algorithm, and what to do in a split: no caller saw an error,
// and once the fault is over, all nodes agree with what was admitted, for each key.
func (f fault) run(t *testing.T) {
	w := newTown(t, townSize, townSize, calm)
	r := &faultRun{fault: f, w: w, asked: w.on()}
	r.names, r.keys = w.kindKeys(r.isB, f.leaseOff)
	var through *nsTraffic // what may be counted twice
	if f.unheard {
		keys := w.keysOf(ample, 2, r.isB)
		through = startNsTraffic(t, &nsTraffic{keys: keys, limit: isAmple},
			func() []*nsNode { return w.on() }, nsWorkers, 50*time.Millisecond)
	}
	tr := r.start()
	tr.more(t, 2*len(r.names))
	r.strike()
	tr.more(t, 2*len(r.names))
	r.heal()
	tr.more(t, len(r.names))
	tr.stop()
	t.Logf("%v; admitted on sides a and b: %v", tr, r.side)
	assert.Empty(t, tr.failures)
	assert.NotZero(t, r.side[0])
	assert.NotZero(t, r.side[1])
	w.requireAgreed(tr, r.keys)
	if through != nil {
		through.stop()
		assert.Empty(t, through.failures)
		w.requireCounted(through, through.keys)
	}
}

// requireAgreed waits until all nodes agree with what was admitted for each key.
func (w *town) requireAgreed(tr *nsTraffic, keys map[string]*kindKey) {
	w.t.Helper()
	began := time.Now()
	for name, k := range keys {
		if k.limit.Algorithm == limiter.TokenBucket {
			w.requireOneBucket(name, k.limit, &k.bucket, tr.slowest)
			continue
		}
		w.requireExact(k.limit, name, tr.admitted[name])
	}
	w.t.Logf("all nodes agree, %v after all see all", time.Since(began).Round(time.Millisecond))
}

// hosts are those of some nodes.
func hosts(nodes []*nsNode) (hosts []int) {
	for _, n := range nodes {
		hosts = append(hosts, n.host)
	}
	return hosts
}
