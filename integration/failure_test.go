package integration

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// load sends requests until it is told to stop: many clients, all limited routes.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex // guards sum
	sum    tally
}

const (
	loadCallers = 4
	loadClients = 200
)

// startLoad puts load on some processes.
func startLoad(t *testing.T, processes ...*process) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	sender := newClient(t)
	routes := []string{"POST /v1/authorize", "POST /v1/token", "GET /v1/agents"}
	for i := range loadCallers {
		l.wg.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				began := time.Now()
				r, err := sender.send(ctx, processes[n%len(processes)], routes[n%len(routes)],
					fmt.Sprintf("198.18.0.%d", 1+n*7%loadClients))
				if ctx.Err() != nil {
					return
				}
				l.mu.Lock()
				l.sum.count(r, err, time.Since(began))
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { l.stop() })
	return l
}

// requests is how many were answered so far.
func (l *load) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sum.admitted + l.sum.refused + l.sum.failed
}

// stop ends the load and says what became of it.
func (l *load) stop() tally {
	l.cancel()
	l.wg.Wait()
	return l.sum
}

// more waits until the load has gone on for a while.
func (l *load) more(t *testing.T) {
	t.Helper()
	until := l.requests() + 300
	eventually(t, func() bool { return l.requests() >= until }, "the load stands still")
}

// A node that is killed takes no answer of the others with it.
func TestKillOne(t *testing.T) {
	const timeout = 200 * time.Millisecond
	nodes := startAll(t, 3, spec{CallTimeout: timeout})
	l := startLoad(t, nodes[0], nodes[1])
	l.more(t)
	nodes[2].kill(syscall.SIGKILL)
	assert.Equal(t, -1, nodes[2].waitEnd())
	l.more(t)
	awaitNodes(t, 2, nodes[0], nodes[1])
	l.more(t)
	got := l.stop()
	t.Logf("%d requests, slowest %v with a call timeout of %v", got.admitted+got.refused, got.slowest, timeout)
	assert.Zero(t, got.failed, "%v", got.failures)
}

// A node that stands still is no worse than one that is gone, and comes back by itself.
func TestStopAndContinueOne(t *testing.T) {
	const timeout = 200 * time.Millisecond
	nodes := startAll(t, 3, spec{CallTimeout: timeout})
	l := startLoad(t, nodes[0], nodes[1])
	l.more(t)
	nodes[2].kill(syscall.SIGSTOP)
	awaitNodes(t, 2, nodes[0], nodes[1])
	l.more(t)
	nodes[2].kill(syscall.SIGCONT)
	awaitNodes(t, 3, nodes...)
	l.more(t)
	got := l.stop()
	t.Logf("%d requests, slowest %v with a call timeout of %v", got.admitted+got.refused, got.slowest, timeout)
	assert.Zero(t, got.failed, "%v", got.failures)
}

// Nodes join, leave, crash and restart under load, and nobody who asks the others notices.
// The children's logs are searched for panics and races when they end.
func TestComeAndGoUnderLoad(t *testing.T) {
	nodes := startAll(t, 2, spec{CallTimeout: calm})
	seeds := []string{nodes[0].told.Bind, nodes[1].told.Bind}
	l := startLoad(t, nodes...)
	for round := range 2 {
		third := must(t, spec{Name: "node3", Join: seeds, Secret: secret, CallTimeout: calm})
		awaitNodes(t, 3, nodes[0], nodes[1], third)
		fourth := must(t, spec{Name: "node4", Join: seeds, Secret: secret, CallTimeout: calm})
		awaitNodes(t, 4, nodes[0], nodes[1], third, fourth)
		l.more(t)

		third.kill(syscall.SIGTERM)
		assert.Equal(t, 0, third.waitEnd(), "round %d: it leaves gracefully", round)
		awaitNodes(t, 3, nodes[0], nodes[1], fourth)

		fourth.kill(syscall.SIGKILL)
		fourth.waitEnd()
		again := must(t, spec{Name: "node4", Join: seeds, Secret: secret, CallTimeout: calm})
		awaitNodes(t, 3, nodes[0], nodes[1], again)
		l.more(t)
		again.kill(syscall.SIGTERM)
		assert.Equal(t, 0, again.waitEnd(), "round %d: it leaves gracefully", round)
		awaitNodes(t, 2, nodes...)
	}
	got := l.stop()
	t.Logf("%d requests, slowest %v", got.admitted+got.refused, got.slowest)
	assert.Zero(t, got.failed, "%v", got.failures)
}

// Nodes that join and leave gracefully lose no count: what is used up stays used up.
func TestRollingRestartKeepsCounts(t *testing.T) {
	nodes := startAll(t, 3, spec{CallTimeout: calm, Window: time.Hour}) // no end of a window in between
	const route = "GET /v1/agents"
	c := settledFor(t, 10*time.Minute, nodes[0], route)
	admitted := 1
	spend := func() {
		got := c.spend(route, 40, nodes...)
		assert.Zero(t, got.failed, "%v", got.failures)
		admitted += got.admitted
	}
	spend()
	for i := range nodes {
		nodes[i].kill(syscall.SIGTERM)
		assert.Equal(t, 0, nodes[i].waitEnd())
		s := nodes[i].spec
		s.Join = nil
		for j, other := range nodes {
			if j != i {
				s.Join = append(s.Join, other.told.Bind)
			}
		}
		nodes[i] = must(t, s)
		awaitNodes(t, 3, nodes...)
		spend()
	}
	assert.Equal(t, 100, admitted, "of 161 requests in one window, with every node restarted in between")
}
