package clustertest

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

var (
	oldSecret, newSecret = cluster.Secret("the old secret, 0123456789"), cluster.Secret("the new secret, 0123456789")
	idSecret             = cluster.Secret("the secret of ids, 0123456789")
)

// The steps of a rotation.
var rotation = [][]cluster.Secret{{oldSecret, newSecret}, {newSecret, oldSecret}, {newSecret}}

// traffic takes from all nodes, all the time.
type traffic struct {
	admitted [12]atomic.Int64
	failed   atomic.Int64
	degraded atomic.Int64
	takes    atomic.Int64
	stop     atomic.Bool
	wg       sync.WaitGroup
}

func (x *traffic) begin(t *testing.T, c *Cluster, l limiter.Limit, nodes int) {
	for i := range nodes * len(keys) {
		x.wg.Go(func() {
			for k := i / nodes; !x.stop.Load(); time.Sleep(2 * time.Millisecond) {
				d, err := c.Node(i%nodes).Take(t.Context(), keys[k], l, 1)
				x.takes.Add(1)
				switch {
				case err != nil:
					x.failed.Add(1)
				case d.Degraded:
					x.degraded.Add(1)
				case d.Allowed:
					x.admitted[k].Add(1)
				}
			}
		})
	}
}

// A secret is changed under load over five nodes, one after the other: no decision fails, none is
// a degraded one, no count is lost, nobody takes anybody for dead, and what has the old secret is
// shut out afterwards.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = 5
		log := &lines{}
		secrets := []cluster.Secret{oldSecret}
		c := New(t, nodes, Options{Log: log, Config: func(_ int, cfg *cluster.Config) {
			cfg.Secrets, cfg.IDSecret = secrets, idSecret
		}})
		l := limiter.Limit{Quota: 1_000_000, Window: 24 * time.Hour, Lease: limiter.LeaseOff} // each take is a call
		x, fewer := &traffic{}, log.count("live=4")                                           // on the way up
		x.begin(t, c, l, nodes)
		time.Sleep(300 * time.Millisecond)
		for _, step := range rotation {
			for i := range nodes {
				require.NoError(t, c.Node(i).SetSecrets(step...))
				time.Sleep(30 * time.Millisecond)
				assert.Zero(t, x.failed.Load()+x.degraded.Load(), "node %d, step %v", i, len(step))
			}
		}
		time.Sleep(time.Second)
		x.stop.Store(true)
		x.wg.Wait()
		assert.Zero(t, x.failed.Load()+x.degraded.Load())
		for i := range nodes {
			assert.Zero(t, c.Node(i).Stats().Failovers, "node %d had to ask a successor", i)
		}
		spent := func(node int) {
			for k, key := range keys {
				d, err := c.Node(node).Take(t.Context(), key, l, 0)
				require.NoError(t, err)
				assert.Equal(t, x.admitted[k].Load(), l.Quota-d.Remaining, "key %s at node %d, %d takes", key, node, x.takes.Load())
			}
		}
		spent(0)
		time.Sleep(20 * time.Second) // gossip goes round
		require.True(t, c.Whole())
		require.Greater(t, x.takes.Load(), int64(10_000))
		assert.Equal(t, fewer, log.count("live=4"), "somebody lost sight of somebody")
		for _, text := range []string{"does not answer", "secrets differ", "decrypt", "installed key"} {
			assert.Zero(t, log.count(text), text)
		}
		assert.Zero(t, log.count("0123456789"), "a secret in the log")

		secrets = []cluster.Secret{newSecret} // a restart finds its budgets
		require.NoError(t, c.Leave(2))
		c.Restart(2)
		c.Settle()
		spent(2)

		secrets = []cluster.Secret{oldSecret} // who still has the old one finds nobody
		late := c.Add()
		time.Sleep(30 * time.Second)
		assert.Equal(t, 1, c.Node(late).Stats().Live)
		assert.Equal(t, nodes, c.Node(0).Stats().Live)
		assert.NotZero(t, log.count("secrets differ"))
	})
}

// Two halves that started apart, with the same configuration, and one of which has changed its
// secret already, meet with the same ids: what was spent on both is spent. A node whose ids are
// others is refused by name.
func TestIDsDoNotFollowTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, ids := &lines{}, idSecret
		c := empty(t, Options{Log: log, Config: func(i int, cfg *cluster.Config) {
			cfg.JoinTimeout, cfg.IDSecret = -1, ids
			cfg.Secrets = [][]cluster.Secret{{oldSecret, newSecret}, {newSecret, oldSecret}, {newSecret}}[i]
			cfg.Join = []string{"127.1.0.1:7946", "127.1.0.2:7946"}
		}})
		c.newHost()
		c.newHost()
		c.Split([]int{0}, []int{1})
		c.start(0)
		c.start(1)
		l := limiter.Limit{Quota: 100, Window: 24 * time.Hour, Lease: limiter.LeaseOff}
		for i := range 2 {
			for range 10 {
				d, err := c.Node(i).Take(t.Context(), "key", l, 1)
				require.NoError(t, err)
				require.True(t, d.Allowed)
			}
		}
		c.Heal()
		c.Settle()
		time.Sleep(2 * time.Second)
		d, err := c.Node(1).Take(t.Context(), "key", l, 0)
		require.NoError(t, err)
		require.EqualValues(t, 80, d.Remaining)

		ids = cluster.Secret("another secret of ids, 0123456789")
		other := c.Add()
		time.Sleep(10 * time.Second)
		assert.Equal(t, 1, c.Node(other).Stats().Live)
		assert.Equal(t, 2, c.Node(0).Stats().Live)
		assert.NotZero(t, log.count("keys have other ids: the IDSecret of node"))
	})
}

// What SetSecrets does not take changes nothing.
func TestSetSecretsRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		configs := []func(*cluster.Config){
			func(*cluster.Config) {},
			func(cfg *cluster.Config) { cfg.Secret = oldSecret },
			func(cfg *cluster.Config) { cfg.Secret, cfg.IDSecret = oldSecret, idSecret },
		}
		c := empty(t, Options{Config: func(i int, cfg *cluster.Config) { cfg.Join = nil; configs[i](cfg) }})
		for range configs {
			c.Add()
		}
		for i, want := range []string{"without a secret", "without an IDSecret", "SetSecrets: number 1 of 5 bytes is shorter"} {
			err := c.Node(i).SetSecrets(cluster.Secret("abcde"))
			require.ErrorIs(t, err, cluster.ErrConfig)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "abcde")
		}
		require.ErrorIs(t, c.Node(2).SetSecrets(), cluster.ErrConfig)
		require.NoError(t, c.Node(2).SetSecrets(newSecret))
		n := c.Node(2)
		c.Kill(2)
		require.ErrorIs(t, n.SetSecrets(newSecret), cluster.ErrClosed)
	})
}
