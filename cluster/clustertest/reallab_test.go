package clustertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// clusterLab is the real thing.
type clusterLab struct {
	*Cluster
	s     *schedule
	names map[int]int // by node: how often it was renamed
}

// newLab starts the cluster that a schedule wants.
func newLab(t testing.TB, s *schedule) clusterLab {
	names, log := map[int]int{}, io.Writer(nil)
	if *logFlag {
		log = os.Stdout
	}
	c := clusterLab{s: s, names: names, Cluster: empty(t, Options{
		Network: simnet.Options{Seed: s.seed, Latency: s.latency, Jitter: s.weather.jitter, KeepAlive: 2 * time.Second},
		Skews:   s.skews,
		Log:     log,
		Config: func(i int, cfg *cluster.Config) {
			cfg.Replicas = s.replicas
			for k := range s.nodes {
				cfg.Voters = append(cfg.Voters, name(k))
			}
			if s.strict {
				cfg.ExpectedNodes, cfg.ForgetAfter = s.nodes, 24*time.Hour
			}
			if names[i] > 0 {
				cfg.Name = fmt.Sprintf("%s-%d", name(i), names[i])
			}
			for k := range s.weather.dead {
				cfg.Join = append([]string{fmt.Sprintf("127.3.0.%d:%d", k+1, port)}, cfg.Join...)
			}
			if s.weather.slowLog {
				cfg.Logger = slog.New(&slowLog{rng: rand.New(rand.NewPCG(s.seed, uint64(i)))})
			}
		},
	})}
	var all []int
	for range s.nodes {
		all = append(all, c.addHost())
		if !s.weather.together {
			c.start(len(all) - 1)
		}
	}
	if s.weather.together {
		c.beginAll(all...)
	}
	if c.Settle(); s.weather.together && s.skewed() {
		time.Sleep(clockTime) // each began with its own
	}
	return c
}

// addHost is a machine for one more node, with the wires and the clock that it is to have.
func (c clusterLab) addHost() int {
	i := c.newHost()
	if i < len(c.s.weather.drift) {
		c.clock[i].drift(c.s.weather.drift[i])
	}
	for k := range i {
		if d := c.s.wire(i, k); d != c.s.latency {
			c.Net.Link(name(i), name(k), d, c.s.weather.jitter, 0)
			c.Net.Link(name(k), name(i), d, c.s.weather.jitter, 0)
		}
	}
	return i
}

// Add starts a node, in a split on one of its sides.
func (c clusterLab) Add(sides ...[]int) int {
	i := c.addHost()
	if len(sides) > 0 {
		c.Split(sides...)
	}
	c.start(i)
	return i
}

func (c clusterLab) taker(i int) taker { return c.Node(i) }

// Whole is not true before the voters that have restarted vote again, where they can: they
// need a majority of voters that know what they promised, or of such as do not.
func (c clusterLab) Whole(nodes ...int) bool {
	voters, votes := 0, 0
	for _, i := range c.Running() {
		if i < c.s.nodes && c.names[i] == 0 {
			voters++
			if c.Node(i).Stats().Votes {
				votes++
			}
		}
	}
	majority := c.s.nodes/2 + 1
	return c.Cluster.Whole(nodes...) && (votes == voters || max(votes, voters-votes) < majority)
}

// State is what a failure says of each node.
func (c clusterLab) State() string {
	var b strings.Builder
	for _, i := range c.Running() {
		fmt.Fprintf(&b, "\n  node %d: %+v", i, c.Node(i).Stats())
	}
	return b.String()
}

// Leave checks that a node which says that it has handed everything over holds nothing.
func (c clusterLab) Leave(i int) error {
	n := c.Node(i)
	alone := n.Stats().Live == 1 // somebody may come when it has seen that nobody is there
	err := c.Cluster.Leave(i)
	if s := n.Stats(); err == nil && !alone && s.Live > 1 && s.Holding > 0 {
		c.t.Errorf("node %d has left, and %d partitions with it", i, s.Holding)
	}
	return err
}

func (c clusterLab) wires(latency time.Duration, loss float64) {
	c.Net.Set(func(o *simnet.Options) { o.Latency, o.Loss = latency, loss })
}

func (c clusterLab) late(share float64, most time.Duration) {
	c.Net.Set(func(o *simnet.Options) { o.Late, o.LateMax = share, most })
}

// stall stops a process as Pause does, but its clock goes on, and it may do what needs no
// network.
func (c clusterLab) stall(i int, d time.Duration) {
	c.hosts[i].Pause()
	time.Sleep(d)
	c.hosts[i].Resume()
}

// rename starts a node that is down under a name that no node had before.
func (c clusterLab) rename(i int) {
	c.names[i]++
	c.Restart(i)
}

// stillborn starts a node that is down, and kills it after a while, ready or not.
func (c clusterLab) stillborn(i int, after time.Duration) {
	c.hosts[i] = c.hosts[i].Restart()
	started := make(chan *cluster.Node, 1)
	go func() {
		n, _ := c.begin(i) // that it could not start is what this is for
		started <- n
	}()
	time.Sleep(after)
	c.hosts[i].Kill()
	if n := <-started; n != nil {
		n.Close()
	}
}

// together starts nodes that are down, all at the same moment.
func (c clusterLab) together(nodes ...int) {
	for _, i := range nodes {
		c.hosts[i] = c.hosts[i].Restart()
	}
	c.beginAll(nodes...)
}

func (c clusterLab) beginAll(nodes ...int) {
	var wg sync.WaitGroup
	errs := make([]error, len(nodes))
	for k, i := range nodes {
		wg.Go(func() { c.nodes[i], errs[k] = c.begin(i) })
	}
	wg.Wait()
	for k, i := range nodes {
		require.NoError(c.t, errs[k], "node %d", i)
	}
}

// slowLog is an operator's logger that blocks, often and for long, but not for ever.
type slowLog struct {
	mu   sync.Mutex
	rng  *rand.Rand
	took time.Duration
}

const slowLogMost = 20 * time.Second // in all: the bubble waits for it

func (l *slowLog) block() {
	l.mu.Lock()
	d := []time.Duration{0, 0, time.Millisecond, 100 * time.Millisecond, time.Second, 3 * time.Second}[l.rng.IntN(6)]
	if l.took += d; l.took > slowLogMost {
		d = 0
	}
	l.mu.Unlock()
	time.Sleep(d)
}

// Enabled blocks.
func (l *slowLog) Enabled(context.Context, slog.Level) bool {
	l.block()
	return true
}

// Handle blocks.
func (l *slowLog) Handle(context.Context, slog.Record) error {
	l.block()
	return nil
}

// WithAttrs has nothing to add to.
func (l *slowLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup has nothing to group.
func (l *slowLog) WithGroup(string) slog.Handler { return l }
