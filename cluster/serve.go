package cluster

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// How a node answers its peers. What needs only the ledger is answered on the
// connection's reading goroutine, in order; what must ask others gets a goroutine,
// of which there is a bounded number.

// server is a node as the transport's handler.
type server struct{ n *Node }

const passingMax = 2048 // requests being passed on at a time

// session is what is known of the peer at the other end of a connection.
type session struct {
	hello
	epoch  int64    // the node's when the connection was made
	call   takeCall // for reuse: the connection serves one request at a time
	missed bool     // slots were refused: the next "caught up" is not true
	tally  *tally   // of the peer's own requests
}

// Who lets a node's new connection take the place of its old ones. Two nodes of one name
// do not end each other's.
func (s *session) Who() (peer string, process uint64) { return s.name + " " + s.addr, uint64(s.origin) }

// Hello refuses nodes of another ring scheme.
func (s server) Hello(_ net.Addr, b []byte) (any, []byte, error) {
	h, err := readHello(b)
	if err != nil {
		return nil, nil, err
	}
	if h.scheme != ring.Scheme {
		err := fmt.Errorf("ring scheme %.*q of node %.*q is not ours, %q", schemeMax, h.scheme, nameMax, h.name, ring.Scheme)
		s.n.told.once("hello "+h.name, func() { s.n.log.Error("refused a node", "why", err) })
		return nil, nil, err
	}
	s.n.heardOf(h)
	answer := s.n.hello()
	answer.taken = s.n.nameOf(h)
	return &session{hello: h, epoch: s.n.epoch.Load(), tally: s.n.tallies.of(h.origin, s.n.clock.age())}, answer.encode(), nil
}

// stranger says whether a living node at another address has the peer's name. Until
// that one is gone, the peer may read the clock, and nothing else.
func (n *Node) stranger(h hello) bool {
	m := n.members.Get(h.name)
	return m != nil && m.Live && m.Addr != h.addr && m.Origin != h.origin
}

// Serve answers one request.
func (s server) Serve(t *transport.Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
	n, from := s.n, t.Value().(*session)
	if n.wakeUp(n.clock.read()); from.epoch != n.epoch.Load() {
		t.Close() // what waited while this process was stopped is of no use to anybody
		return buf, true, errStopped
	}
	if kind != kindTime {
		n.rouse()
	}
	if kind != kindTime && !n.timed.Load() {
		return buf, true, errStarting
	}
	switch kind {
	case kindTake, kindGive, kindKeep, kindTime:
	default:
		if n.stranger(from.hello) {
			return buf, true, fmt.Errorf("cluster: another node is named %q", from.name)
		}
	}
	switch kind {
	case kindShip, kindComplete, kindCaughtUp:
		if err := n.refuseSlots(kind, from); err != nil {
			return buf, true, err // they stay due
		}
	}
	switch kind {
	case kindTake, kindGive:
		c := &from.call
		*c = takeCall{}
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		if c.tally = from.tally; c.asker == 0 {
			c.asker = from.origin
		} else {
			c.tally = n.tallies.of(c.asker, n.clock.age())
		}
		if n.serveHeld(kind, c) {
			return c.appendAnswer(buf), true, nil
		}
		return n.passOn(t, id, kind, *c, from.hello, buf)
	case kindKeep:
		var c keepCall
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		n.holds.End(c.id, c.cost)
		return buf, true, nil
	case kindShip:
		return buf, true, n.receiveShip(body, from)
	case kindLeaving:
		if !n.members.Goodbye(from.process()) {
			return buf, true, errStarting // it is not known yet: it will say so again
		}
		n.kick(n.changed)
		return buf, true, nil
	case kindCaughtUp:
		var c caughtUpCall
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		if n.members.CaughtUp(from.process(), c.fingerprint) {
			n.kick(n.changed)
		}
		if p := n.view.Load().byName[from.name]; c.ask && p != nil {
			p.caughtUp.Store(0)
			n.kick(n.flush)
		}
		return buf, true, nil
	case kindTime:
		return (&timeCall{age: n.clock.age(), now: n.clock.now()}).appendAnswer(buf), true, nil
	case kindComplete:
		var c completeCall
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		ahead := n.clock.ahead.Load()
		if err := n.sameTime(from, c.now, n.clock.ownNow()+ahead); err != nil {
			return buf, true, err
		}
		for i := range c.slots {
			c.slots[i] = c.slots[i].Move(-ahead)
		}
		return buf, true, n.completed(&c, from)
	case kindLease:
		var c leaseCall
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		n.grant(&c, from.hello)
		return c.appendAnswer(buf), true, nil
	case kindRecall:
		c := &recallCall{}
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		return n.serveRecall(t, id, c, from.origin, buf)
	case kindUndo:
		c := &undoCall{}
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		for i := range c.list {
			u := &c.list[i]
			if u.asker == 0 {
				u.asker = from.origin
			}
			if n.forget(u, !u.relay && u.asker == from.origin) {
				c.done++
			}
		}
		return c.appendAnswer(buf), true, nil
	case kindClaim:
		c := &claimCall{}
		if err := c.readRequest(body); err != nil {
			return buf, true, err
		}
		select {
		case n.claims <- asking{t, id, c, from.name}:
			return buf, false, nil
		default:
			return buf, true, errTooMany
		}
	}
	return buf, true, fmt.Errorf("cluster: unknown kind of call %d", kind)
}

var errStarting = errors.New("cluster: the node does not know the time yet")
var errClocks = errors.New("cluster: the nodes do not agree on the time yet")
var errStopped = errors.New("cluster: the node had been stopped")
var errTooMany = errors.New("cluster: too many requests at a time")

const allRanks = 1<<ring.Ranks - 1

// receiveShip joins copies. A sender with the same table has told everybody who
// should know; otherwise what is news goes on from here, and the two compare what
// they know of the members.
func (n *Node) receiveShip(body []byte, from *session) error {
	now, ahead, mask := n.clock.ownNow(), n.clock.ahead.Load(), uint8(0) // one time for all of the frame
	defer runtime.Gosched()                                              // takes on other connections are not to wait until this one has no more
	return readShip(body, func(fingerprint uint64, theirs int64) error {
		if fingerprint != n.view.Load().table.Fingerprint() {
			mask = allRanks
			n.meetAt(from.addr)
		}
		return n.sameTime(from, theirs, now+ahead)
	}, func(s limiter.Slot) {
		n.ledger.Merge(s.Move(-ahead), now, mask)
	})
}

// refuseSlots refuses what says something of windows, from a sender of which it is not
// certain that it has the same time. What was refused is sent again, after the sender
// has learnt of it; a "caught up" that was sent before is refused as well.
func (n *Node) refuseSlots(kind uint8, from *session) error {
	p := n.view.Load().byName[from.name]
	agreed := p != nil && p.origin == from.origin && p.agreed.Load()
	switch {
	case kind == kindCaughtUp && from.missed:
		from.missed = false
		return errClocks
	case !agreed:
		from.missed = kind != kindCaughtUp
		return errClocks
	}
	return nil
}

// sameTime refuses slots of a sender whose clock has moved away from this node's since
// the two agreed; which of the two jumped will soon be clear. A frame may have been on
// its way for as long as a call may take.
func (n *Node) sameTime(from *session, theirs, ours int64) error {
	off, p := time.Duration(ours-theirs), n.view.Load().byName[from.name]
	unsure := time.Duration(0)
	if p != nil {
		unsure = time.Duration(p.rtt.Load())
	}
	if off > -stepOver-unsure && off < stepOver+unsure+shipTimeout {
		return nil
	}
	if p != nil {
		p.agreed.Store(false)
	}
	from.missed = true
	return errClocks
}
