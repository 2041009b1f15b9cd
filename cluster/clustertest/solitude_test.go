package clustertest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
	"github.com/weir-go/weir/limiter"
)

// lines is a log that can be read while nodes write to it.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(what string) int {
	synctest.Wait() // the journal writes by itself
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

// lonely is a node whose only seed is an address at which nobody ever was.
func lonely(t *testing.T, log *lines, change func(cfg *cluster.Config)) *Cluster {
	return empty(t, Options{Log: log, Config: func(_ int, cfg *cluster.Config) {
		cfg.Join = []string{fmt.Sprintf("127.3.0.1:%d", port)}
		change(cfg)
	}})
}

// A node that none of its seeds answers is not ready until it has tried for long enough, and says
// then that it is alone.
func TestNoSilentSolitude(t *testing.T) {
	for _, timeout := range []time.Duration{0, 25 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			log, began := &lines{}, time.Now()
			c := lonely(t, log, func(cfg *cluster.Config) { cfg.JoinTimeout = timeout })
			n := c.Node(c.Add())
			assert.False(t, n.Ready())
			assert.Contains(t, n.Condition().Reasons, "the node is alone, or was until a moment ago: none of its seeds had answered")
			require.NoError(t, n.WaitReady(t.Context()))
			want := max(timeout, 10*time.Second)
			assert.InDelta(t, want.Seconds(), time.Since(began).Seconds(), 0.1, "since it was started")
			assert.Equal(t, 1, log.count("alone: none of the addresses in Join lets this node in: ready"))
			assert.Empty(t, n.Condition().Reasons)
		})
	}
}

// Who does not want to wait does not.
func TestNoJoinTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		c := lonely(t, log, func(cfg *cluster.Config) { cfg.JoinTimeout = -1 })
		i := c.Add()
		synctest.Wait()
		assert.True(t, c.Node(i).Ready())
		assert.Equal(t, 1, log.count("alone: none of the addresses in Join lets this node in: ready"))
	})
}

// A node that expects others is never ready alone; it is when one has come, and stays so when that
// one is gone.
func TestNeverAloneWhereOthersAreExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		c := empty(t, Options{Log: log, Config: func(_ int, cfg *cluster.Config) { cfg.ExpectedNodes = 2 }})
		first := c.Node(c.Add())
		time.Sleep(time.Hour)
		assert.False(t, first.Ready())
		assert.Equal(t, 1, log.count("more nodes are expected: not ready"))
		second := c.Add()
		time.Sleep(10 * time.Second)
		assert.True(t, first.Ready())
		c.Kill(second)
		time.Sleep(time.Hour)
		assert.True(t, first.Ready())
	})
}

// The first node of a cluster has no seeds but itself, and is ready at once.
func TestFirstNodeIsReadyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		c := empty(t, Options{Log: log})
		i := c.Add()
		synctest.Wait()
		assert.True(t, c.Node(i).Ready())
		assert.Zero(t, log.count("alone:"))
	})
}

// A node that came up alone and then meets the others is ready when it knows what they know: from
// then on both together keep to the quota.
func TestReadyAfterSolitudeIsExact(t *testing.T) {
	for _, alone := range []time.Duration{time.Millisecond, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := empty(t, Options{Network: simnet.Options{Latency: 20 * time.Millisecond, KeepAlive: 2 * time.Second}})
			c.Add()
			l := limiter.Limit{Quota: 20, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
			for _, k := range keys {
				require.Equal(t, 10, spend(t, c, k, l, 10, 0))
			}
			b := c.newHost()
			c.Split([]int{0}, []int{b})
			c.start(b)
			time.Sleep(alone)
			require.False(t, c.Node(b).Ready())
			c.Heal()
			require.NoError(t, c.Node(b).WaitReady(t.Context()))
			for _, k := range keys {
				assert.Equal(t, 10, spend(t, c, k, l, 40), "key %s", k)
			}
		})
	}
}
