package cluster

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/transport"
)

// Claims: how a node asks the others who decides for partitions, and how it answers.

// sendAsks sends the claims that steps have wanted, many partitions in one. The caller does
// not have the lock.
func (n *Node) sendAsks() {
	v := n.view.Load()
	n.mu.Lock()
	asks, late := n.seats.asks, n.seats.late
	n.seats.asks, n.seats.late = nil, 0
	n.mu.Unlock()
	if late > 0 {
		n.log.Warn("began to decide without the last holders, which do not hand over", "partitions", late)
	}
	to := map[*peer][]ask{}
	for _, a := range asks {
		if p := v.byProcess[a.to]; p != nil {
			to[p] = append(to[p], a)
		}
	}
	for p, asks := range to {
		for len(asks) > 0 {
			k := min(len(asks), wire.ClaimParts)
			n.claim(v, p, asks[:k:k])
			asks = asks[k:]
		}
	}
}

func (n *Node) claim(v *view, p *peer, asks []ask) {
	c := &wire.Claim{Table: v.table.Fingerprint()}
	for _, a := range asks {
		c.Parts = append(c.Parts, a.about)
	}
	err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindClaim, c, func(err error) {
		if err != nil {
			n.failed(p, err)
		}
		n.claimed(asks, c, err)
	})
	if err != nil {
		n.claimed(asks, c, err)
	}
}

// claimed acts on the answer to a claim, or on that there is none.
func (n *Node) claimed(asks []ask, c *wire.Claim, err error) {
	var refused transport.RemoteError
	lives := errors.As(err, &refused)
	n.mu.Lock()
	for i, a := range asks {
		e := tenure.Event{Kind: tenure.Unanswered, From: a.to, Search: a.search, Refused: lives}
		if err == nil {
			e.Kind, e.Answer = tenure.Answered, c.Answers[i]
		}
		n.stepLocked(a.about.Part, e)
	}
	n.mu.Unlock()
	n.sendAsks()
}

// asking is a claim that waits for the loop.
type asking struct {
	t    *transport.Session
	id   uint64
	c    *wire.Claim
	from wire.Hello
	has  *atomic.Int64
}

// answerClaim says who decides for some partitions. The loop runs it, after all that was
// heard before: a claimer that has just restarted must not be taken for the holder.
func (n *Node) answerClaim(a asking) {
	v := n.view.Load()
	if p := v.byName[a.from.Name]; p != nil && p.origin == a.from.Origin {
		p.table.Store(a.c.Table)
	}
	n.mu.Lock()
	for _, x := range a.c.Parts {
		e := tenure.Event{Kind: tenure.Claimed, From: tenure.Process(a.from.Origin), Term: x.Known, Held: x.Held, Top: x.Top}
		a.c.Answers = append(a.c.Answers, n.stepLocked(x.Part, e).Answer)
	}
	n.mu.Unlock()
	n.sendAsks()
}

// answerClaims answers those that the loop has received, and that wait, but not for ever those
// that come meanwhile.
func (n *Node) answerClaims(asked []asking) {
	answer := func(a asking) {
		n.answerClaim(a)
		n.waits.claiming.leave(a.has)
		a.t.Answer(a.id, a.c.AppendAnswer(nil), nil) // lost with its connection
	}
	for _, a := range asked {
		answer(a)
	}
	for range claimQueue {
		select {
		case a := <-n.claims:
			answer(a)
		default:
			return
		}
	}
}
