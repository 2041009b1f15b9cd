package cluster

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/membership"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// Who answers, where that decides how much a side of a split may admit. Gossip takes up to
// 14 s to say that a node is gone, and the more of them, the longer. So where limits are
// split into shares each node hears every other one twice a second, on whatever travels
// anyway or on a call for that alone, and who does not answer for SilentAfter does not count.
// An answer needs the wire in both directions, so both ends see a cut that goes one way.

const contactEvery = 500 * time.Millisecond

// contact asks those that have not been heard for a while for a sign of life, and notes who
// has become silent, or is no longer. Silence counts from when a node was asked: where
// nobody asked there is none. It says whether there is news, and how long until it is to
// look again. Only the loop calls it.
func (n *Node) contact(v *view) (news bool, again time.Duration) {
	if !n.shares.Load() {
		return false, idleBeat
	}
	now, again := time.Now(), contactEvery
	for _, p := range v.all {
		who, heard := membership.Process{Name: p.name, Origin: p.origin}, p.calls.LastHeard()
		if heard.After(p.greeted) {
			p.greeted = time.Time{}
			if p.silent {
				p.silent, news = false, n.members.Heard(who, n.clock.age()) || news
			}
		}
		quiet := now.Sub(heard)
		switch asked := now.Sub(p.greeted); {
		case p.greeted.IsZero() && quiet < contactEvery:
			again = min(again, contactEvery-quiet)
		case p.greeted.IsZero():
			p.greeted = now
			n.greet(p)
		case asked >= membership.SilentAfter-contactEvery:
			p.silent, news = true, n.members.Silent(who) || news
			n.greet(p)
		default:
			again = min(again, membership.SilentAfter-contactEvery-asked)
			n.greet(p)
		}
	}
	return news, again
}

// greet asks a peer for a sign of life. One that is down is asked all the time.
func (n *Node) greet(p *peer) {
	if p.down.Load() || p.greeting.Swap(true) {
		return
	}
	err := p.calls.Start(time.Now().Add(seedTimeout), wire.KindTime, &wire.Time{}, func(err error) {
		if p.greeting.Store(false); err != nil {
			n.failed(p, err)
		}
	})
	if err != nil {
		p.greeting.Store(false) // not connected yet
	}
}
