package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// How a request finds who holds its partition: it asks whom this node takes for the holder,
// and goes on to whoever is named. Who does not hold it names the newest term that it knows.

// found is what came of looking for the holder.
type found uint8

const (
	decided     found = iota // the answer is in the call
	moving                   // the partition is changing hands
	unreachable              // the holder does not answer, or nobody knows it who answers
	yours                    // who asks is the owner, and will find that it holds it
)

const followMost = 4 // holders that one request follows before it waits a moment

// askHolder asks who holds the partition: whom this node takes for the holder, and then
// whoever is named by those that do not hold it.
func (r *round) askHolder() (found, error) {
	n, v, c, part := r.n, r.v, r.c, r.c.ID.Partition()
	p, searching := n.holder(v, part)
	r.extend(0, p)
	if searching {
		return r.searching(part), nil
	}
	var newest tenure.Term
	for range followMost {
		if p == nil {
			return unreachable, nil
		}
		if ok, err := r.ask(p, 0); ok || err != nil {
			return decided, err
		}
		if r.late { // it was not asked: it will be, where it has copies
			return r.unlessHere(moving), nil
		}
		r.holder = p
		if c.Outcome != wire.NotHolder {
			return r.unlessHere(unreachable), nil
		}
		t := c.Term
		n.heed(part, p, t)
		next := v.byProcess[t.Holder]
		switch {
		case t.Holder == 0, t.Holder == n.self(), next == p, t.Number > 0 && !t.After(newest): // nobody who might
			return r.unlessHere(moving), nil
		case next == nil: // gossip has not told us of the holder yet
			if ok, err := r.ask(p, wire.Relay); ok || err != nil {
				return decided, err
			}
			return r.unlessHere(moving), nil
		}
		p, newest = next, t
	}
	return r.unlessHere(moving), nil
}

// unlessHere is decided if this node holds the partition by now, else f.
func (r *round) unlessHere(f found) found {
	if d, ok := r.here(); ok {
		r.c.Decision = d
		return decided
	}
	return f
}

// searching is what to make of it that this node is to hold the partition, and does not know
// yet who does: it waits, unless those who may know do not answer.
func (r *round) searching(part int) found {
	if r.n.stuck(r.v, part) {
		return r.unlessHere(unreachable)
	}
	return r.unlessHere(moving)
}

// again waits a moment: the partition may come here, or the view may change. It says
// whether there is time to ask again.
func (r *round) again() bool {
	next := time.Now().Add(askAgain)
	if next.After(r.end) {
		next = r.end
	}
	r.n.await(r.ctx, r.c.ID.Partition(), next)
	return r.ctx.Err() == nil && time.Now().Before(r.end)
}

const askAgain = 2 * time.Millisecond // while a partition changes hands

// holder is the peer that is asked first for a partition; nil if that is this node, or one
// that it does not see. searching says that this node is to hold it, and must first find out
// who does.
func (n *Node) holder(v *view, part int) (p *peer, searching bool) {
	switch x := tenure.Process(n.seats.whom[part].Load()); {
	case x == n.self():
		return nil, true
	case x != 0:
		p = v.byProcess[x]
	}
	if p == nil || p.down.Load() && !v.owns(part) { // it may be long ago that it was the holder
		// Where that is this node, the view is newer than the seats, for an instant.
		p, searching = v.holderPeer(part, 0)
	}
	return p, searching
}

// heed notes that a peer does not hold a partition, and what it knows.
func (n *Node) heed(part int, p *peer, t tenure.Term) {
	if t.Number == 0 {
		return
	}
	n.mu.Lock()
	n.stepLocked(part, tenure.Event{Kind: tenure.Told, From: tenure.Process(p.origin), Term: t})
	n.mu.Unlock()
}
