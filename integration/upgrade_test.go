package integration

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir"
)

const (
	upgradeRoute   = "GET /v1/agents"
	upgradeQuota   = 100 // of the route
	upgradeClients = 60
	upgradeHot     = 5                    // of them, who get half of the requests
	upgradePace    = 5 * time.Millisecond // between the requests of a caller
)

// balancer sends requests to nodes as a load balancer does that knows which to leave alone: none
// is sent to a node that is about to end, and those under way are waited for.
type balancer struct {
	sender *client
	seats  []seat
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // guards what follows
	counts [upgradeClients]struct{ sent, admitted int }
	bad    map[string]int
	sum    int
}

type seat struct {
	mu sync.RWMutex // held for writing while its node is replaced
	p  *process
}

// newBalancer begins to send.
func newBalancer(t *testing.T, nodes []*process) *balancer {
	ctx, stop := context.WithCancel(t.Context())
	b := &balancer{sender: newClient(t), seats: make([]seat, len(nodes)), stop: stop, bad: map[string]int{}}
	for i, p := range nodes {
		b.seats[i].p = p
	}
	for i := range loadCallers {
		b.wg.Go(func() {
			pace := time.NewTicker(upgradePace)
			defer pace.Stop()
			for n := i; ctx.Err() == nil; n += loadCallers {
				who := n / 2 % upgradeClients
				if n%2 == 0 {
					who %= upgradeHot
				}
				if s := &b.seats[n/7%len(b.seats)]; s.mu.TryRLock() {
					b.send(s.p, who)
					s.mu.RUnlock()
				}
				<-pace.C
			}
		})
	}
	t.Cleanup(func() { stop(); b.wg.Wait() })
	return b
}

// send sends one request and notes what became of it.
func (b *balancer) send(p *process, who int) httpReply {
	r, err := b.sender.send(context.Background(), p, upgradeRoute, fmt.Sprintf("198.18.1.%d", who))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum++
	b.counts[who].sent++
	switch {
	case err == nil && r.status == http.StatusOK:
		b.counts[who].admitted++
	case err != nil || r.status != http.StatusTooManyRequests:
		b.bad[fmt.Sprint(r.status, " ", err)]++
	}
	return r
}

// more waits until so many more have been answered.
func (b *balancer) more(t *testing.T, n int) {
	t.Helper()
	count := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.sum }
	until := count() + n
	eventually(t, func() bool { return count() >= until }, "the clients stand still")
}

// replace ends a node and starts another program under its name.
func (b *balancer) replace(t *testing.T, i int, program string) {
	t.Helper()
	s := &b.seats[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	b.sender.http.CloseIdleConnections()
	s.p.kill(syscall.SIGTERM)
	require.Equal(t, 0, s.p.waitEnd(), "it leaves gracefully")
	next := s.p.spec
	next.program, next.Join = program, nil
	for j := range b.seats {
		if j != i {
			next.Join = append(next.Join, b.seats[j].p.told.Bind)
		}
	}
	s.p = must(t, next)
	awaitNodes(t, len(b.seats), b.seats[0].p, b.seats[1].p, b.seats[2].p)
}

// Three nodes under load become a newer version, one after the other, and one of them goes back:
// every request is answered by 200 or 429, and every client gets exactly its quota. The newer
// version says more than the older one knows, and calls it by a kind that it does not know.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	newer := newerBuild(t)
	nodes := startAll(t, 3, spec{CallTimeout: calm, Window: 8000 * time.Hour}) // no end of a window in between
	b := newBalancer(t, nodes)
	for i := range nodes {
		b.replace(t, i, newer)
		b.more(t, 300)
		if i == 0 {
			require.Equal(t, newerVersion, b.seats[0].p.told.Version)
			for _, s := range []*seat{&b.seats[0], &b.seats[1]} {
				eventually(t, func() bool {
					return slices.Equal(s.p.versions(), []string{newerVersion, weir.Version, weir.Version})
				}, "%s knows which versions there are", s.p.spec.Name)
			}
			log := b.seats[0].p.log
			eventually(t, func() bool {
				return containsLine(log.String(), "a newer kind of call", "peer="+weir.Version, fmt.Sprintf("unknown kind of call %d", newerKind))
			}, "an older node says that it does not know a kind: %s", log)
		}
	}
	last := b.seats[2].p
	b.replace(t, 2, "")
	b.more(t, 300)
	require.Equal(t, weir.Version, b.seats[2].p.told.Version)
	b.stop()
	b.wg.Wait()

	assert.Empty(t, b.bad, "of %d requests", b.sum)
	exhausted := 0
	for who := range b.counts {
		c := b.counts[who]
		assert.Equal(t, min(c.sent, upgradeQuota), c.admitted, "client %d sent %d", who, c.sent)
		left := b.send(b.seats[who%3].p, who).header.Get("X-RateLimit-Remaining")
		assert.Equal(t, strconv.Itoa(max(0, upgradeQuota-c.sent-1)), left, "client %d sent %d", who, c.sent)
		if c.sent > upgradeQuota {
			exhausted++
		}
	}
	assert.GreaterOrEqual(t, exhausted, upgradeHot, "some got more than their quota to answer")
	for _, p := range append(nodes, last, b.seats[0].p, b.seats[1].p, b.seats[2].p) {
		assert.NotContains(t, p.log.String(), "upgrading.md", "%s refuses nobody", p.spec.Name)
	}
	t.Logf("%d requests of %d clients, %d of whom had spent their quota", b.sum, upgradeClients, exhausted)
}

// containsLine says whether a line of a log has all of some texts.
func containsLine(log string, texts ...string) bool {
	for line := range strings.Lines(log) {
		if !slices.ContainsFunc(texts, func(x string) bool { return !strings.Contains(line, x) }) {
			return true
		}
	}
	return false
}
