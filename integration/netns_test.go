//go:build linux

package integration

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/integration/netnslab"
	"github.com/weir-go/weir/limiter"
)

// Five processes of the example on hosts of their own, and a network that really breaks.
// What must hold is the table of the cluster package's documentation, row by row. The same
// is shown in virtual time, for many more cases, in cluster/clustertest; this is to show
// that kernels do what that simulation takes them to do.

const (
	townSize  = 5
	nsWorkers = townSize

	flush       = 100 * time.Millisecond // cluster.Config's default
	busyFlushes = 30                     // what two may become on a busy machine
)

// ample is a limit that nothing here exhausts: what is left of it says what is counted.
var ample = limiter.Per(1_000_000, 24*time.Hour)

func isAmple(string) limiter.Limit { return ample }

func TestNetns(t *testing.T) {
	if testing.Short() {
		t.Skip("makes network namespaces, for a minute")
	}
	// First what has a figure to tell, alone; then all that mostly waits, at once.
	t.Run("rolling restart under load", rollingRestart)
	scenarios := map[string]func(*testing.T){
		"split modes":             splitModes,
		"dead link":               deadLink,
		"killed owner":            killedOwner,
		"stopped owner":           stoppedOwner,
		"kill one after another":  killOneAfterAnother,
		"scale up and down again": scale,
	}
	for _, f := range faults() {
		scenarios[f.name] = f.run
	}
	var wg sync.WaitGroup
	for name, run := range scenarios {
		wg.Go(func() { t.Run(name, run) })
	}
	wg.Wait()
}

// requireCounted is requireExact where answers may be lost on the way: those are counted
// again by whoever was asked next. All nodes agree on a count; it is never less than what
// was admitted, and not more than the answers that were slow because of it account for.
func (w *town) requireCounted(tr *nsTraffic, keys []string) {
	w.t.Helper()
	var sum, admitted int64
	for _, key := range keys {
		var counts []int64
		eventually(w.t, func() bool {
			counts = counts[:0]
			for _, n := range w.on() {
				counts = append(counts, ample.Quota-n.look(key, ample).Remaining)
			}
			return slices.Min(counts) == slices.Max(counts) && counts[0] >= tr.admitted[key]
		}, "%q: %d were admitted, the nodes say %v", key, tr.admitted[key], lazily(func() string { return fmt.Sprint(counts) }))
		sum, admitted = sum+counts[0], admitted+tr.admitted[key]
	}
	w.t.Logf("%d admitted, %d counted, %d slow answers", admitted, sum, tr.slow)
	assert.LessOrEqual(w.t, sum, admitted+3*tr.slow)
}

// One dead link between two live nodes is what gossip never notices. Requests go round it,
// and the owner decides as ever.
func deadLink(t *testing.T) {
	if err := netnslab.Drop.Usable(); err != nil {
		unavailable(t, err)
	}
	w := newTown(t, townSize, townSize, calm)
	limit := limiter.Per(50, 24*time.Hour)
	keys := w.keysOf(limit, 3, func(n *nsNode) bool { return n.host == 1 })
	keys = append(keys, w.keysOf(limit, 3, func(n *nsNode) bool { return n.host == 2 })...)
	require.NoError(t, w.lab.Cut(netnslab.Drop, []int{1}, []int{2}))
	tr := startNsTraffic(t, &nsTraffic{keys: keys, limit: func(string) limiter.Limit { return limit }},
		func() []*nsNode { return w.on(1, 2) }, 2, 5*time.Millisecond)
	spent := func() bool {
		sums := tr.sums()
		for _, key := range keys {
			if sums[key] < limit.Quota {
				return false
			}
		}
		return true
	}
	eventually(t, spent, "not all is admitted: %v", lazily(func() string { return fmt.Sprint(tr.sums()) }))
	held := time.After(5 * time.Second) // twice what gossip takes to replace a dead node
	for open := true; open; {
		for _, n := range w.on() {
			require.Equal(t, townSize, n.stats().Live, "%v", n)
		}
		select {
		case <-held:
			open = false
		default:
			tr.more(t, 20)
		}
	}
	tr.stop()
	t.Log(tr)
	assert.Empty(t, tr.failures)
	assert.Zero(t, tr.degraded, "the owner decided")
	for _, key := range keys {
		assert.Equal(t, limit.Quota, tr.admitted[key], key)
	}
}
