package simnet

import (
	"cmp"
	"slices"
	"time"
)

// wire names one direction between two hosts.
type wire struct{ from, to string }

// link is how a wire behaves while it is not cut.
type link struct {
	latency, jitter time.Duration
	loss            float64
}

// Partition splits the network: only hosts of the same group reach each other.
// Hosts that are not named form one more group. It replaces an earlier partition
// and leaves cuts alone. A name that no host ever had panics, here and below: a
// misspelt fault would make a test that cannot fail.
func (n *Network) Partition(groups ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.group)
	for i, g := range groups {
		n.checkLocked(g...)
		for _, name := range g {
			n.group[name] = i + 1
		}
	}
	n.wiresChangedLocked()
}

// Heal ends the partition and mends all cuts. Links keep what [Network.Link] set.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.group)
	clear(n.cut)
	n.wiresChangedLocked()
}

// Cut drops all that a sends to b. What b sends to a still arrives.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.checkLocked(a, b)
	n.cut[wire{a, b}] = true
	n.wiresChangedLocked()
}

// Mend undoes Cut(a, b).
func (n *Network) Mend(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.checkLocked(a, b)
	delete(n.cut, wire{a, b})
	n.wiresChangedLocked()
}

// Link sets latency, jitter and packet loss of what a sends to b, in place of the
// defaults.
func (n *Network) Link(a, b string, latency, jitter time.Duration, loss float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.checkLocked(a, b)
	n.links[wire{a, b}] = link{latency, jitter, loss}
}

func (n *Network) checkLocked(names ...string) {
	for _, name := range names {
		if n.byName[name] == nil {
			panic("simnet: no host is named " + name)
		}
	}
}

// upLocked says whether what a sends reaches b now. The maps are asked only when a
// fault is in force, since this runs for every packet.
func (n *Network) upLocked(a, b *Host) bool {
	switch {
	case a.gone || b.gone:
		return false
	case a.name == b.name:
		return true
	case len(n.cut) > 0 && n.cut[wire{a.name, b.name}]:
		return false
	}
	return len(n.group) == 0 || n.group[a.name] == n.group[b.name]
}

// linkLocked draws the delay of one send, and says how likely a packet is lost.
func (n *Network) linkLocked(a, b *Host) (delay time.Duration, loss float64) {
	if a.name == b.name {
		return 0, 0
	}
	l := link{n.opt.Latency, n.opt.Jitter, n.opt.Loss}
	if len(n.links) > 0 {
		if own, ok := n.links[wire{a.name, b.name}]; ok {
			l = own
		}
	}
	if l.jitter > 0 {
		l.latency += time.Duration(n.rng.Int64N(int64(l.jitter)))
	}
	return l.latency, l.loss
}

// chanceLocked draws true with probability p, and draws nothing for p = 0.
func (n *Network) chanceLocked(p float64) bool { return p > 0 && n.rng.Float64() < p }

// wiresChangedLocked tells the streams that wires were cut or mended, where the
// options let them know before they next send.
func (n *Network) wiresChangedLocked() {
	if n.opt.RTO > 0 && n.opt.KeepAlive <= 0 {
		return
	}
	var all []*conn
	for _, h := range n.byName {
		all = h.appendConnsLocked(all)
	}
	for _, c := range inOrder(all) {
		c.wireChangedLocked()
	}
}

// inOrder sorts streams by age: map order must not decide who is served first.
func inOrder(cs []*conn) []*conn {
	slices.SortFunc(cs, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return cs
}
