package cluster

import (
	"errors"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/transport"
)

// Who holds a partition that this node owns and does not hold: it asks whom it takes for
// the holder, which knows, or knows whom to ask. Who knows of nobody may just have come, as
// this node may: of nodes that start at the same moment each takes another for the one that
// was there before. So then all are asked, and only if all say so it is nobody's.

// claimPending asks the holders of what we wait for, and ends waits that are over.
func (n *Node) claimPending(v *view) {
	if n.pendings.Load() == 0 {
		return
	}
	age, late := n.clock.age(), 0
	ask := map[*peer][]int{}
	n.mu.Lock()
	for part, w := range n.pending {
		if w == nil {
			continue
		}
		p := v.byName[w.from]
		if p == nil || age-w.since > handoverMax {
			from := w.from
			if p != nil {
				from = "" // it is there, and does not hand over
				late++
			}
			n.takeOverLocked(v, part, from)
			continue
		}
		if w.asked != 0 && age-w.asked < claimEvery {
			continue
		}
		w.asked = age
		if w.without == nil {
			ask[p] = append(ask[p], part)
			continue
		}
		left := w.unasked(v)
		for _, p := range left {
			ask[p] = append(ask[p], part)
		}
		if len(left) == 0 {
			n.takeOverLocked(v, part, "")
		}
	}
	n.mu.Unlock()
	if late > 0 {
		n.log.Warn("began to decide without the last holders, which do not hand over", "partitions", late)
	}
	for p, parts := range ask {
		for len(parts) > 0 {
			k := min(len(parts), wire.ClaimParts)
			n.claim(p, parts[:k:k])
			parts = parts[k:]
		}
	}
}

// unasked are those that may still know of a holder.
func (w *pending) unasked(v *view) (left []*peer) {
	for _, p := range v.all {
		if !w.without[p.name] && !p.down.Load() {
			left = append(left, p)
		}
	}
	return left
}

func (n *Node) claim(p *peer, parts []int) {
	c, epoch := &wire.Claim{Parts: parts}, n.epoch.Load()
	err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindClaim, c, func(err error) {
		if err != nil {
			n.failed(p, err)
			var refused transport.RemoteError
			n.unclaim(parts, p.name, errors.As(err, &refused))
			return
		}
		if n.epoch.Load() == epoch {
			n.claimed(p, c)
		}
	})
	if err != nil {
		n.unclaim(parts, p.name, false)
	}
}

// unclaim lets a later round ask again. A holder that answers, but does not know us yet,
// is not one to be replaced.
func (n *Node) unclaim(parts []int, from string, refused bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, part := range parts {
		switch w := n.pending[part]; {
		case w == nil || w.from != from:
		case refused:
			w.since = n.clock.age()
		default:
			w.asked = 0
		}
	}
}

// claimed acts on the answer to a claim.
func (n *Node) claimed(p *peer, c *wire.Claim) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, part := range c.Parts {
		w := n.pending[part]
		if w == nil || w.from != p.name && w.without == nil {
			continue
		}
		switch name := c.Names[i]; {
		case name == p.name:
			w.from, w.without = name, nil
			w.since = n.clock.age() // it lives, holds it, and will complete, however much there is to ship
		case name == "" || name == n.cfg.Name:
			first := w.without == nil
			if first {
				w.without = map[string]bool{}
			}
			if w.without[p.name] = true; first || len(w.unasked(n.view.Load())) == 0 {
				w.asked = 0
				n.kick(n.flush)
			}
		case n.view.Load().byName[name] == nil || w.hops >= hopsMax:
			w.hops = 0 // gossip is behind: ask again soon
		default:
			w.from, w.asked, w.without = name, 0, nil
			w.hops++
			n.kick(n.flush)
		}
	}
}

// answerClaim says who holds some partitions. The loop runs it, after all that was
// heard before: a claimer that has just restarted must not be taken for the holder.
func (n *Node) answerClaim(c *wire.Claim, from string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.view.Load()
	for _, part := range c.Parts {
		name := ""
		switch w := n.pending[part]; {
		case n.ledger.Held().Has(part) || n.unacked[part] != nil:
			name = n.cfg.Name // or "complete" is on its way
		case w != nil:
			name = w.from
		case n.lastHolder[part] != "":
			name = n.lastHolder[part]
		case !v.owns(part):
			name = v.ownerName(part)
		}
		if name == from {
			name = ""
		}
		c.Names = append(c.Names, name)
	}
}

// asking is a claim that waits for the loop.
type asking struct {
	t    *transport.Session
	id   uint64
	c    *wire.Claim
	from string
}

// answerClaims answers those that the loop has received, and all that wait.
func (n *Node) answerClaims(asked []asking) {
	for {
		for _, a := range asked {
			n.answerClaim(a.c, a.from)
			a.t.Answer(a.id, a.c.AppendAnswer(nil), nil) // lost with its connection
		}
		select {
		case a := <-n.claims:
			asked = []asking{a}
		default:
			return
		}
	}
}
