package cluster

import (
	"fmt"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
)

// What a peer asks that is answered at once, on the connection's reading goroutine: nothing here
// waits for anybody.

// serveAtOnce answers by the kind of the call.
func (n *Node) serveAtOnce(kind uint8, body []byte, from *session, buf []byte) ([]byte, error) {
	switch kind {
	case wire.KindKeep:
		return buf, n.serveKeep(body)
	case wire.KindForget:
		return buf, n.serveForget(body)
	case wire.KindShip:
		return buf, n.receiveShip(body, from)
	case wire.KindComplete:
		return buf, n.serveComplete(body, from)
	case wire.KindCaughtUp:
		return buf, n.serveCaughtUp(body, from)
	case wire.KindLeaving:
		return buf, n.serveLeaving(body, from)
	case wire.KindTime:
		return n.serveTime(body, buf)
	case wire.KindLease:
		return n.serveLease(body, from, buf)
	case wire.KindUndo:
		return n.serveUndo(body, from, buf)
	case wire.KindTable:
		return n.serveTable(body, buf)
	case wire.KindExplain:
		return n.serveExplain(body, buf)
	case wire.KindSilent:
		return n.serveSilent(body, buf)
	case wire.KindVouch:
		return n.serveVouch(body, buf)
	}
	return buf, fmt.Errorf("cluster: unknown kind of call %d", kind)
}

// serveKeep ends a hold: what was taken on trial is spent.
func (n *Node) serveKeep(body []byte) error {
	var c wire.Keep
	if err := c.ReadRequest(body); err != nil {
		return err
	}
	n.holds.End(c.ID, c.Cost)
	return nil
}

// serveForget forgets a denial of a budget that was reset.
func (n *Node) serveForget(body []byte) error {
	var c wire.Forget
	if err := c.ReadRequest(body); err != nil {
		return err
	}
	n.near.Forget(c.ID, n.clock.age())
	return nil
}

// serveComplete takes a partition over.
func (n *Node) serveComplete(body []byte, from *session) error {
	var c wire.Complete
	if err := c.ReadRequest(body); err != nil {
		return err
	}
	ahead := n.clock.Ahead()
	if err := n.sameTime(from, c.Now, n.clock.ownNow()+ahead); err != nil {
		return err
	}
	for i := range c.Slots {
		c.Slots[i] = c.Slots[i].Move(-ahead)
	}
	err := n.completed(&c, from)
	n.sendAsks() // one that is not believed has this node ask
	return err
}

// serveCaughtUp notes that the peer has sent all that is due, and that it wants to hear the same.
func (n *Node) serveCaughtUp(body []byte, from *session) error {
	var c wire.CaughtUp
	if err := c.ReadRequest(body); err != nil {
		return err
	}
	if n.members.CaughtUp(processOf(from.Hello), c.Fingerprint) {
		n.kick(n.changed)
	}
	if p := n.view.Load().byName[from.Name]; c.Ask && p != nil {
		p.caughtUp.Store(0)
		n.kick(n.flush)
	}
	return nil
}

// serveLeaving hears a goodbye.
func (n *Node) serveLeaving(body []byte, from *session) error {
	if err := (&wire.Leaving{}).ReadRequest(body); err != nil {
		return err
	}
	if m := n.members.Get(from.Name); m == nil || m.Process != processOf(from.Hello) {
		return errStarting // it is not known yet: it will say so again
	}
	n.hearGoodbye(processOf(from.Hello))
	return nil
}

// serveTime tells what time it is here.
func (n *Node) serveTime(body, buf []byte) ([]byte, error) {
	var c wire.Time
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	c.Age, c.Now = n.clock.age(), n.clock.now()
	c.Wall, c.Agree = n.wallAhead(), n.wall.Ahead()
	c.Far, c.Begun = time.Duration(n.far.Load()), n.settled.Load()
	if c.Parting = wire.Stays; n.leaving.Load() {
		c.Parting = wire.Leaves
	}
	return c.AppendAnswer(buf), nil
}

// serveLease hands out a slice, if there is one to have.
func (n *Node) serveLease(body []byte, from *session, buf []byte) ([]byte, error) {
	var c wire.Lease
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	n.grant(&c, from.Hello)
	return c.AppendAnswer(buf), nil
}

// serveUndo takes back what was counted and answered too late.
func (n *Node) serveUndo(body []byte, from *session, buf []byte) ([]byte, error) {
	c := &wire.Undo{}
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	for i := range c.List {
		u := &c.List[i]
		if u.Asker == 0 {
			u.Asker = from.Origin
		}
		if n.forget(u, !u.Relay && u.Asker == from.Origin) {
			c.Done++
		}
	}
	return c.AppendAnswer(buf), nil
}

// serveTable tells which ring this node has.
func (n *Node) serveTable(body, buf []byte) ([]byte, error) {
	var c wire.Table
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	c.Fingerprint = n.view.Load().table.Fingerprint()
	return c.AppendAnswer(buf), nil
}

// serveExplain tells what this node knows of a budget.
func (n *Node) serveExplain(body, buf []byte) ([]byte, error) {
	c := &wire.Explain{}
	if err := c.ReadRequest(body); err != nil {
		return buf, err
	}
	n.explain(c)
	return c.AppendAnswer(buf), nil
}
