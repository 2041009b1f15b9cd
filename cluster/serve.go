package cluster

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/weir-go/weir/cluster/internal/ctime"
	"github.com/weir-go/weir/cluster/internal/tally"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// How a node answers its peers. What needs only the ledger is answered on the
// connection's reading goroutine, in order; what must ask others gets a goroutine,
// of which there is a bounded number.

// server is a node as the transport's handler.
type server struct{ n *Node }

// session is what is known of the peer at the other end of a connection.
type session struct {
	wire.Hello
	epoch  int64        // the node's when the connection was made
	call   takeCall     // for reuse: the connection serves one request at a time
	over   bool         // slots were not taken, for there are too many copies of others': they stay due
	missed bool         // slots were refused: the next "caught up" is not true
	tally  *tally.Tally // of the peer's own requests
	meets  bool         // the peer has the same voters, but for one
}

// Who lets a node's new connection take the place of its old ones. Two nodes of one name
// do not end each other's.
func (s *session) Who() (peer string, process uint64) { return s.Name + " " + s.Addr, uint64(s.Origin) }

// Hello refuses nodes of another ring scheme, and those whose keys have other ids.
func (s server) Hello(_ net.Addr, b []byte) (any, []byte, error) {
	h, err := wire.ReadHello(b)
	if err != nil {
		return nil, nil, err
	}
	if h.Scheme != ring.Scheme {
		err := transport.VersionError(fmt.Sprintf("run versions of one ring scheme, see docs/upgrading.md: that of node %.*q, weir %q, is %.*q, that of node %q, weir %q, is %q",
			nameMax, h.Name, h.Weir, schemeMax, h.Scheme, s.n.cfg.Name, Version, ring.Scheme))
		s.n.logs.Once("hello "+h.Name, func() { s.n.log.Error("refused a node", "why", err) })
		return nil, nil, err
	}
	if h.IDs != 0 && h.IDs != s.n.hasher.Mark() {
		err := fmt.Errorf("keys have other ids: the IDSecret of node %.*q is not ours", nameMax, h.Name)
		s.n.logs.Once("ids "+h.Name, func() { s.n.log.Error("refused a node", "why", err) })
		return nil, nil, err
	}
	s.n.heardOf(h)
	answer := s.n.hello()
	answer.Taken = s.n.nameOf(h)
	return &session{Hello: h, epoch: s.n.epoch.Load(), tally: s.n.tallies.Of(h.Origin, s.n.clock.age()), meets: s.n.meets(h)}, answer.Encode(), nil
}

// Serve answers one request.
func (s server) Serve(t *transport.Session, id uint64, kind uint8, body, buf []byte) ([]byte, bool, error) {
	n, from := s.n, t.Value().(*session)
	if err := n.mayAsk(t, kind, from); err != nil {
		return buf, true, err
	}
	switch kind {
	case wire.KindTake, wire.KindGive, wire.KindReset:
		return n.serveTake(t, id, kind, body, from, buf)
	case wire.KindRecall:
		return n.serveRecall(t, id, body, from, buf)
	case wire.KindVote, wire.KindRecord, wire.KindRecover:
		return n.serveVoter(t, id, kind, body, from, buf)
	case wire.KindClaim:
		return n.serveClaim(t, id, body, from, buf)
	}
	buf, err := n.serveAtOnce(kind, body, from, buf)
	return buf, true, err
}

// mayAsk refuses what nobody should be told, or believed, now.
func (n *Node) mayAsk(t *transport.Session, kind uint8, from *session) error {
	if n.wakeUp(n.clock.read()); from.epoch != n.epoch.Load() {
		t.Close() // what waited while this process was stopped is of no use to anybody
		return errStopped
	}
	if kind == wire.KindTime {
		return nil
	}
	if n.rouse(); !n.timed.Load() {
		return errStarting
	}
	switch kind {
	case wire.KindTake, wire.KindGive, wire.KindReset, wire.KindKeep:
		return nil
	}
	if n.members.Namesake(processOf(from.Hello), from.Addr) != nil { // until that is gone, it may take, and nothing else
		return fmt.Errorf("cluster: another node is named %q", from.Name)
	}
	switch kind {
	case wire.KindShip, wire.KindComplete, wire.KindCaughtUp:
		return n.refuseSlots(kind, from) // they stay due
	}
	return nil
}

// serveTake answers a request about a budget: at once where this node holds it.
func (n *Node) serveTake(t *transport.Session, id uint64, kind uint8, body []byte, from *session, buf []byte) ([]byte, bool, error) {
	c := &from.call
	*c = takeCall{}
	if err := c.ReadRequest(body); err != nil {
		return buf, true, err
	}
	if c.tally = from.tally; c.Asker == 0 {
		c.Asker = from.Origin
	} else {
		c.tally = n.tallies.Of(c.Asker, n.clock.age())
	}
	if n.serveHeld(kind, c) {
		return c.AppendAnswer(buf), true, nil
	}
	return n.passOn(t, id, kind, *c, from, buf)
}

// serveClaim leaves a claim to the loop.
func (n *Node) serveClaim(t *transport.Session, id uint64, body []byte, from *session, buf []byte) ([]byte, bool, error) {
	c := &wire.Claim{}
	if err := c.ReadRequest(body); err != nil {
		return buf, true, err
	}
	has := &n.sharesOf(from).claiming
	if !n.waits.claiming.take(has, claimQueue) {
		return buf, true, errTooMany
	}
	n.claims <- asking{t, id, c, from.Hello, has} // there is room for all that have a place
	return buf, false, nil
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
	now, ahead, mask := n.clock.ownNow(), n.clock.Ahead(), uint8(0) // one time for all of the frame
	defer runtime.Gosched()                                         // takes on other connections are not to wait until this one has no more
	var c wire.Ship
	c.Begin = func() error {
		if c.Fingerprint != n.view.Load().table.Fingerprint() {
			mask = allRanks
			n.meetAt(from.Addr)
		}
		return n.sameTime(from, c.Now, now+ahead)
	}
	c.Each = func(s ledger.Slot) { n.receive(s.Move(-ahead), from, now, mask) }
	if err := c.ReadRequest(body); err != nil {
		return err
	}
	return from.full()
}

// full says that slots were not taken, once.
func (s *session) full() error {
	if !s.over {
		return nil
	}
	s.over, s.missed = false, true
	return errTooMany
}

// refuseSlots refuses what says something of windows, from a sender of which it is not
// certain that it has the same time. What was refused is sent again, after the sender
// has learnt of it; a "caught up" that was sent before is refused as well.
func (n *Node) refuseSlots(kind uint8, from *session) error {
	p := n.view.Load().byName[from.Name]
	agreed := p != nil && p.origin == from.Origin && p.time.Agreed()
	switch {
	case kind == wire.KindCaughtUp && from.missed:
		from.missed = false
		return errClocks
	case !agreed:
		from.missed = kind != wire.KindCaughtUp
		return errClocks
	}
	return nil
}

// sameTime refuses slots of a sender whose clock has moved away from this node's since
// the two agreed; which of the two jumped will soon be clear. A frame may have been on
// its way for as long as a call may take.
func (n *Node) sameTime(from *session, theirs, ours int64) error {
	off, p := time.Duration(ours-theirs), n.view.Load().byName[from.Name]
	unsure := time.Duration(0)
	if p != nil {
		unsure = p.time.Unsure()
	}
	if ctime.Near(off, unsure, shipTimeout) {
		return nil
	}
	if p != nil {
		p.time.Doubt()
	}
	from.missed = true
	return errClocks
}
