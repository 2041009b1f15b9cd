package clustertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster"
	"github.com/weir-go/weir/limiter"
)

// imitation is a cluster as the oracle expects one, without a network: whoever can
// hear each other knows all that the others know, at once. With a flaw it is one of
// the limiters that weir must not be. It knows fixed windows and token buckets, of which it
// remembers every token.
type imitation struct {
	s    *schedule
	flaw flaw

	mu    sync.Mutex // guards all below
	nodes []*imitated
	side  map[int]int // by node, while split
	down  bool        // a node was killed and is not back
	asked int
	began map[string]time.Time // when a key was first used
}

// imitated is one process.
type imitated struct {
	of     *imitation
	index  int
	gone   bool
	paused bool
	slots  map[slotKey]int64 // what is known of each process's counts
}

type slotKey struct {
	of     *imitated
	budget string
	end    int64
}

func imitate(s *schedule, f flaw) *imitation {
	m := &imitation{s: s, flaw: f, side: map[int]int{}, began: map[string]time.Time{}}
	for range s.nodes {
		m.Add()
	}
	return m
}

func (m *imitation) Add(sides ...[]int) int {
	if len(sides) > 0 {
		m.Split(sides...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := len(m.nodes)
	m.nodes = append(m.nodes, &imitated{of: m, index: i, slots: map[slotKey]int64{}})
	return i
}

func (m *imitation) Restart(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[i] = &imitated{of: m, index: i, slots: map[slotKey]int64{}}
	m.down = false
	meet(m.nodes[i].reached()) // also where nobody asks before the next one leaves
}

func (m *imitation) Move(i int) { m.Restart(i) }

func (m *imitation) Kill(i int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[i].gone, m.down = true, true
	if m.flaw == forgetsKilled {
		m.forget(m.nodes[i])
	}
}

func (m *imitation) Crash(i int) { m.Kill(i) }

func (m *imitation) Leave(i int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[i].gone = true
	if m.flaw == forgetsLeft {
		m.forget(m.nodes[i])
	}
	return nil
}

func (m *imitation) forget(n *imitated) {
	for _, x := range m.nodes {
		for k := range x.slots {
			if k.of == n {
				delete(x.slots, k)
			}
		}
	}
}

func (m *imitation) Split(sides ...[]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.side)
	for s, side := range sides {
		for _, i := range side {
			m.side[i] = s + 1
		}
	}
}

func (m *imitation) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flaw == lastWriterWins && len(m.side) > 0 {
		for _, n := range m.nodes {
			if m.side[n.index] != m.side[m.nodes[0].index] {
				clear(n.slots)
			}
		}
	}
	clear(m.side)
	if m.flaw == forgetsOnHeal {
		for _, n := range m.nodes {
			clear(n.slots)
		}
	}
}

func (m *imitation) Pause(i int)                  { m.setPaused(i, true) }
func (m *imitation) Resume(i int)                 { m.setPaused(i, false) }
func (m *imitation) Cut(int, int)                 {} // it has other ways
func (m *imitation) Skew(int, time.Duration)      {}
func (m *imitation) wires(time.Duration, float64) {}
func (m *imitation) late(float64, time.Duration)  {}
func (m *imitation) rename(i int)                 { m.Restart(i) }
func (m *imitation) stillborn(int, time.Duration) {} // it never knew anything
func (m *imitation) Whole(...int) bool            { return true }
func (m *imitation) State() string                { return "" }
func (m *imitation) taker(i int) taker            { return m.nodes[i] }

func (m *imitation) setPaused(i int, paused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[i].paused = paused
}

func (m *imitation) together(nodes ...int) {
	for _, i := range nodes {
		m.Restart(i)
	}
}

func (m *imitation) stall(i int, d time.Duration) {
	m.Pause(i)
	time.Sleep(d)
	m.Resume(i)
}

func (m *imitation) Running() (running []int) {
	for i, n := range m.nodes {
		if !n.gone {
			running = append(running, i)
		}
	}
	return running
}

// reached are the nodes that a node hears, itself among them.
func (n *imitated) reached() (all []*imitated) {
	for _, x := range n.of.nodes {
		if x == n || !x.gone && !x.paused && n.of.side[x.index] == n.of.side[n.index] && n.of.flaw != alone {
			all = append(all, x)
		}
	}
	return all
}

// meet lets all that hear each other know the same.
func meet(all []*imitated) {
	union := map[slotKey]int64{}
	for _, n := range all {
		for k, v := range n.slots {
			if own, ok := union[k]; !ok || k.of == n || v > own && k.of.gone {
				union[k] = v
			}
		}
	}
	for _, n := range all {
		for k, v := range union {
			if k.of != n {
				n.slots[k] = v
			}
		}
	}
}

func (n *imitated) Take(_ context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	m := n.of
	if m.asked++; m.flaw == late && m.asked%50 == 0 {
		m.mu.Unlock()
		time.Sleep(m.s.callMax(&take{}, true) + 10*time.Millisecond)
		m.mu.Lock()
	}
	if n.gone {
		return limiter.Decision{}, cluster.ErrClosed
	}
	if m.flaw == fails && m.down {
		return limiter.Decision{}, errors.New("connection refused")
	}
	all := n.reached()
	if m.flaw != staleLooks || cost > 0 {
		meet(all)
	}
	quota, minority := m.quota(l, all)
	if minority {
		return limiter.Decision{Degraded: true, RetryAfter: time.Second, ResetAfter: time.Second}, nil
	}
	if l.Algorithm == limiter.TokenBucket {
		return n.takeBucket(key, l, cost, quota, all), nil
	}
	end, now := m.windowEnd(key, l)
	left := max(0, quota-n.spent(key, end))
	d := limiter.Decision{Allowed: max(1, cost) <= left, Remaining: left, ResetAfter: time.Duration(end - now)}
	d.Degraded = m.flaw == degradesInPeace && m.asked%20 == 0
	if !d.Allowed {
		d.RetryAfter = d.ResetAfter
		return d, nil
	}
	d.Remaining -= cost
	n.count(key, end, cost)
	if m.flaw == countsTwice {
		n.count(key, end, cost)
	}
	meet(all) // before the answer leaves: who knows whether this node lives on
	return d, nil
}

func (n *imitated) count(key string, end, cost int64) {
	if cost != 0 {
		n.slots[slotKey{n, key, end}] += cost
	}
}

func (n *imitated) Give(_ context.Context, key string, l limiter.Limit, cost int64) error {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	if n.gone {
		return cluster.ErrClosed
	}
	meet(n.reached())
	if l.Algorithm == limiter.TokenBucket {
		if n.of.flaw != keepsRefunds {
			n.count(key, time.Now().UnixNano(), -cost)
			meet(n.reached())
		}
		return nil
	}
	end, _ := n.of.windowEnd(key, l)
	if cost = min(cost, n.spent(key, end)); n.of.flaw != keepsRefunds && cost > 0 {
		n.count(key, end, -cost)
		meet(n.reached())
	}
	return nil
}

// spent joins what a node knows of a window.
func (n *imitated) spent(key string, end int64) (sum int64) {
	for k, v := range n.slots {
		switch {
		case k.budget != key || k.end != end && n.of.flaw != neverEnds:
		case n.of.flaw == maximum:
			sum = max(sum, v)
		default:
			sum += v
		}
	}
	return sum
}

// quota is what a side may admit that sees some nodes.
func (m *imitation) quota(l limiter.Limit, all []*imitated) (quota int64, minority bool) {
	quota = l.Quota
	seen := len(all)
	if len(m.side) > 0 && m.flaw != guestsCount {
		seen = 0
		for _, x := range all {
			if x.index < m.s.nodes {
				seen++
			}
		}
	}
	switch m.flaw {
	case oneTooMany:
		quota++
	case oneTooFew:
		quota--
	case divided:
		quota = max(1, quota/int64(m.s.nodes))
	}
	if l.Split == limiter.SplitFull || m.flaw == fullAlways || seen >= m.s.nodes || m.flaw == alone {
		return quota, false
	}
	if l.Split == limiter.SplitQuorum {
		return quota, 2*seen <= m.s.nodes
	}
	return quota * int64(seen) / int64(m.s.nodes), false
}

func (m *imitation) windowEnd(key string, l limiter.Limit) (end, now int64) {
	now = time.Now().UnixNano() + int64(m.s.skews[0])
	if m.flaw == ownWindows {
		if since := time.Since(m.began[key]); since >= l.Window {
			m.began[key] = time.Now()
		}
		return m.began[key].Add(l.Window).UnixNano() + int64(m.s.skews[0]), now
	}
	return windowStart(key, &l, now) + int64(l.Window), now
}
