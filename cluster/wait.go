package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/wait"
	"github.com/weir-go/weir/limiter"
)

// How long to wait for whom: package wait knows it of each peer that was measured.

// measured notes how long a peer took to answer something that it can answer by itself.
func (n *Node) measured(p *peer, took time.Duration) {
	was, is := p.pace.Measure(took, n.cfg.CallTimeout)
	switch far := time.Duration(n.far.Load()); {
	case is >= far:
		n.far.Store(int64(is))
	case was >= far: // it was the farthest
		for _, q := range n.view.Load().all {
			is = max(is, q.pace.Smooth())
		}
		n.far.Store(int64(is))
	}
}

// waitFor is how long to wait for an answer that p can give by itself.
func (n *Node) waitFor(p *peer) time.Duration {
	if w := p.pace.Wait(); w != 0 {
		return w
	}
	return wait.RoundTrip{}.Wait(n.cfg.CallTimeout, time.Duration(max(n.far.Load(), n.farther.Load())))
}

// toldFar notes the longest round trip of a peer: who is new may be as far from that one.
func (n *Node) toldFar(d time.Duration) {
	for was := n.farther.Load(); int64(d) > was && !n.farther.CompareAndSwap(was, int64(d)); {
		was = n.farther.Load()
	}
}

// patience is how long to wait for an answer for which p may have to ask one more node;
// of nobody in particular, if p is nil. For a limit that wants a quorum the holder may have
// to ask the voters as well.
func (n *Node) patience(p *peer, l *limiter.Limit) time.Duration {
	most, far := n.cfg.CallTimeout, time.Duration(n.far.Load())
	if p != nil {
		most = n.waitFor(p)
	} else {
		most += far
	}
	if most += far; n.agrees(l) {
		most += agreeTrips*max(far, time.Duration(n.farther.Load())) + n.cfg.CallTimeout
	}
	return min(most, max(wait.Max, n.cfg.CallTimeout))
}

// agreeTrips is how many round trips there are to the voters before the first answer of a
// quorum: they send what they have, then they grant the partition, then they have what was
// counted. Later ones need the last of these.
const agreeTrips = 3
