// Package clustertest runs a whole weir cluster in one process, in virtual time, over
// a network that can be cut: for weir's own tests, and for services that want to know
// how they behave when their nodes do not hear each other.
//
// [New] starts some nodes inside a testing/synctest bubble and waits until all see
// all. Then the test makes requests on the nodes, and faults between them: [Cluster.Split],
// [Cluster.Heal], [Cluster.Kill] and the others. Time passes only when the test sleeps
// or waits, so an hour costs a second or so. When the test ends, everything is closed,
// and synctest reports whatever was left running.
//
// The nodes are real ones; only the network is simulated (package simnet), and the
// clocks can be skewed. Goroutines of a paused node still run, but it is cut off from
// everything and its clock stands still until it is resumed.
package clustertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/cluster/clustertest/simnet"
)

// Options of a cluster; the zero value is good.
type Options struct {
	// Network is what the wires are like; zero is a latency of 0.2 ms.
	Network simnet.Options
	// Skews are by how much the clocks of the first nodes are wrong from the start.
	Skews []time.Duration
	// Config may change the configuration of node i before it starts, each time.
	Config func(i int, c *cluster.Config)
	// Log receives the nodes' logs; nil discards them.
	Log io.Writer
}

// Cluster is some nodes and the network between them. Its methods are for the test's
// own goroutine. Nodes are numbered from 0 and named node0, node1 and so on.
type Cluster struct {
	Net *simnet.Network

	t     testing.TB
	opt   Options
	hosts []*simnet.Host
	nodes []*cluster.Node // nil where the node is not running
	clock []*clock
	moved int // nodes that came back at another address
}

const (
	port       = 7946
	settleMax  = 2 * time.Minute
	settlePoll = 50 * time.Millisecond
)

// New starts n nodes, one after the other, and waits until the cluster is whole. It
// must be called inside a bubble of testing/synctest.
func New(t testing.TB, n int, opt Options) *Cluster {
	t.Helper()
	if opt.Network == (simnet.Options{}) {
		opt.Network = simnet.Options{Latency: 200 * time.Microsecond, KeepAlive: 2 * time.Second}
	}
	c := empty(t, opt)
	for range n {
		c.Add()
	}
	c.Settle()
	return c
}

// empty is a network for a cluster without nodes yet.
func empty(t testing.TB, opt Options) *Cluster {
	c := &Cluster{Net: simnet.New(opt.Network), t: t, opt: opt}
	t.Cleanup(c.Close)
	return c
}

// Add starts one more node and returns its number. It does not wait for the others
// to notice.
func (c *Cluster) Add() int {
	c.t.Helper()
	i := c.newHost()
	c.start(i)
	return i
}

// newHost is a machine for one more node.
func (c *Cluster) newHost() int {
	i := len(c.nodes)
	c.hosts = append(c.hosts, c.Net.Host(name(i), fmt.Sprintf("127.1.%d.%d", i/250, i%250+1)))
	c.nodes = append(c.nodes, nil)
	c.clock = append(c.clock, &clock{})
	if i < len(c.opt.Skews) {
		c.clock[i].set(c.opt.Skews[i])
	}
	return i
}

func name(i int) string { return fmt.Sprintf("node%d", i) }

func (c *Cluster) start(i int) {
	c.t.Helper()
	time.Sleep(time.Millisecond) // nodes never start at quite the same instant
	node, err := c.begin(i)
	if err != nil {
		c.t.Fatalf("clustertest: node %d: %v", i, err)
	}
	c.nodes[i] = node
}

// begin starts the process of a node, on whatever goroutine.
func (c *Cluster) begin(i int) (*cluster.Node, error) {
	addr := func(h *simnet.Host) string { return fmt.Sprintf("%s:%d", h.Addr(), port) }
	cfg := cluster.Config{
		Name: name(i), Bind: addr(c.hosts[i]), Network: c.hosts[i], Logger: slog.New(slog.DiscardHandler),
		Now: c.clock[i].now,
	}
	for _, h := range c.hosts {
		cfg.Join = append(cfg.Join, addr(h))
	}
	if c.opt.Log != nil {
		cfg.Logger = slog.New(slog.NewTextHandler(c.opt.Log, nil))
	}
	if c.opt.Config != nil {
		c.opt.Config(i, &cfg)
	}
	return cluster.Start(context.Background(), cfg)
}

// Node is the node of a number, or nil while it is not running.
func (c *Cluster) Node(i int) *cluster.Node { return c.nodes[i] }

// Len is how many nodes there have been.
func (c *Cluster) Len() int { return len(c.nodes) }

// Running are the nodes that run, by number.
func (c *Cluster) Running() (running []int) {
	for i, n := range c.nodes {
		if n != nil {
			running = append(running, i)
		}
	}
	return running
}

// Split cuts the network into sides; a node that is named in none is on one more.
func (c *Cluster) Split(sides ...[]int) {
	groups := make([][]string, len(sides))
	for s, side := range sides {
		for _, i := range side {
			groups[s] = append(groups[s], name(i))
		}
	}
	c.Net.Partition(groups...)
}

// Cut drops all that node a sends to node b, one way.
func (c *Cluster) Cut(a, b int) { c.Net.Cut(name(a), name(b)) }

// Mend ends a Cut.
func (c *Cluster) Mend(a, b int) { c.Net.Mend(name(a), name(b)) }

// Heal ends all splits and cuts.
func (c *Cluster) Heal() { c.Net.Heal() }

// Kill ends a node as SIGKILL does: nothing is handed over, peers get resets.
func (c *Cluster) Kill(i int) {
	c.hosts[i].Kill()
	c.end(i)
}

// Crash makes a node's machine vanish: the others get no answer and no reset.
func (c *Cluster) Crash(i int) {
	c.hosts[i].Crash()
	c.end(i)
}

// end disposes of what would have died with the process.
func (c *Cluster) end(i int) {
	c.nodes[i].Close()
	c.nodes[i] = nil
	c.clock[i].run()
}

// Leave lets a node leave gracefully.
func (c *Cluster) Leave(i int) error { return c.LeaveWithin(context.Background(), i) }

// LeaveWithin is Leave with a context.
func (c *Cluster) LeaveWithin(ctx context.Context, i int) error {
	err := c.nodes[i].Leave(ctx)
	c.nodes[i] = nil
	return err
}

// Restart starts a node that was killed, crashed or left: a new process with the old
// name at the old address.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.hosts[i] = c.hosts[i].Restart()
	c.start(i)
}

// Move starts a node that was killed, crashed or left under its old name at an address
// that no node had before.
func (c *Cluster) Move(i int) {
	c.t.Helper()
	c.hosts[i].Kill() // its machine is still up if the node left
	c.moved++
	c.hosts[i] = c.Net.Host(name(i), fmt.Sprintf("127.2.%d.%d", c.moved/250, c.moved%250+1))
	c.start(i)
}

// Pause stops a node as SIGSTOP does, until Resume: it hears and says nothing, and its
// clock stands still.
func (c *Cluster) Pause(i int) {
	c.clock[i].halt()
	c.hosts[i].Pause()
}

// Resume ends a Pause.
func (c *Cluster) Resume(i int) {
	c.clock[i].run()
	c.hosts[i].Resume()
}

// Skew makes a node's clock differ by d from now on.
func (c *Cluster) Skew(i int, d time.Duration) { c.clock[i].set(d) }

// Whole says whether the nodes see each other, all of them and no others, and every
// partition is in one hand. Without arguments it means all running nodes.
func (c *Cluster) Whole(nodes ...int) bool {
	if len(nodes) == 0 {
		nodes = c.Running()
	}
	holding := 0
	for _, i := range nodes {
		s := c.nodes[i].Stats()
		if s.Live != len(nodes) || s.Pending > 0 || !c.nodes[i].Ready() {
			return false
		}
		holding += s.Holding
	}
	return holding == cluster.Partitions
}

// reachable says whether the nodes that see each other also get answers.
func (c *Cluster) reachable(nodes ...int) bool {
	if len(nodes) == 0 {
		nodes = c.Running()
	}
	return !slices.ContainsFunc(nodes, func(i int) bool { return c.nodes[i].Stats().Unreachable > 0 })
}

// Settle waits until the cluster, or some nodes of it, are whole, and copies have
// been shipped. It fails the test if that takes more than two minutes.
func (c *Cluster) Settle(nodes ...int) {
	c.t.Helper()
	for start := time.Now(); !c.Whole(nodes...) || !c.reachable(nodes...); time.Sleep(settlePoll) {
		if time.Since(start) > settleMax {
			for _, i := range c.Running() {
				c.t.Logf("node %d: %+v", i, c.nodes[i].Stats())
			}
			c.t.Fatalf("clustertest: not whole after %v: %v", settleMax, nodes)
		}
	}
	time.Sleep(2 * settlePoll)
	synctest.Wait()
}

// Close ends all nodes, and waits for what they leave behind in the network.
func (c *Cluster) Close() {
	c.Net.Heal()
	for _, i := range slices.Backward(c.Running()) {
		c.Resume(i)
		c.end(i)
	}
	time.Sleep(time.Minute) // free: what gossip left behind runs out
	synctest.Wait()
}
