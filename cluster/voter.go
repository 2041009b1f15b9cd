package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/weir-go/weir/cluster/internal/quorum"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// What a voter does for others.

var errNoVoter = errors.New("cluster: the node is no voter of the same list")

// meets says whether a peer's voters are this node's, but for one name.
func (n *Node) meets(h wire.Hello) bool {
	q := n.quorum
	if q == nil || len(h.Voters) == 0 {
		return false
	}
	q.noteList(h.Voters)
	ok := q.list.Meets(h.Voters)
	if !ok {
		n.logs.Once("voters "+h.Name, func() {
			n.log.Error("a node has other voters: they agree on nothing", "peer", h.Name, "voters", len(h.Voters), "here", q.list.Len())
		})
	}
	return ok
}

// noteList notes that a node has a list of voters.
func (q *agreement) noteList(marks []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lists) < listsMax {
		q.lists[fmt.Sprint(marks)] = true
	}
}

// seenLists says whether this node votes, and how many lists of voters it has seen.
func (q *agreement) seenLists() (votes bool, lists int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.votesLocked(), len(q.lists)
}

const listsMax = 64

// voterFor is the agreement in which a peer's question is answered, and the peer: one whose
// time is this node's, so that slots mean the same to both.
func (n *Node) voterFor(from *session) (*agreement, *peer, error) {
	p := n.view.Load().byName[from.Name]
	switch {
	case n.quorum == nil || n.quorum.self < 0 || !from.meets:
		return nil, nil, errNoVoter
	case p == nil || p.origin != from.Origin || !p.time.Agreed():
		return nil, nil, errClocks
	}
	return n.quorum, p, nil
}

// serveVoter answers what only voters are asked.
func (n *Node) serveVoter(t *transport.Session, id uint64, kind uint8, body []byte, from *session, buf []byte) ([]byte, bool, error) {
	switch kind {
	case wire.KindVote:
		c := &wire.Vote{}
		if err := c.ReadRequest(body); err != nil {
			return buf, true, err
		}
		return n.serveVote(t, id, c, from, buf)
	case wire.KindRecover:
		c := &wire.Recover{}
		if err := c.ReadRequest(body); err != nil {
			return buf, true, err
		}
		return n.serveRecover(t, id, c, from, buf)
	}
	c := &wire.Record{}
	if err := c.ReadRequest(body); err != nil {
		return buf, true, err
	}
	if err := n.serveRecord(c, from); err != nil {
		return buf, true, err
	}
	return c.AppendAnswer(buf), true, nil
}

// serveVote answers a claim: if it is granted, when the claimer has all slots.
func (n *Node) serveVote(t *transport.Session, id uint64, c *wire.Vote, from *session, buf []byte) ([]byte, bool, error) {
	q, p, err := n.voterFor(from)
	if err != nil {
		return buf, true, err
	}
	q.mu.Lock()
	if q.votesLocked() {
		b := quorum.Ballot(c.Ballot)
		q.hearLocked(c.Part, b)
		c.Granted = q.promises[c.Part].Grant(b)
	}
	c.Highest, c.Word = wire.Ballot(q.promises[c.Part].Highest), q.wordLocked()
	q.mu.Unlock()
	slots := n.ledger.Slots(c.Part, n.clock.ownNow())
	if !c.Granted || len(slots) == 0 {
		return c.AppendAnswer(buf), true, nil
	}
	err = n.aid(from, func() {
		s := sending{n: n, p: p, end: time.Now().Add(c.Left)}
		s.add(slots)
		t.Answer(id, c.AppendAnswer(nil), s.finish()) // lost with its connection
	})
	return buf, err != nil, err
}

// serveRecord keeps slots that were counted under ballots than which none higher was
// granted here.
func (n *Node) serveRecord(c *wire.Record, from *session) error {
	q, _, err := n.voterFor(from)
	if err != nil {
		return err
	}
	now, ahead := n.clock.ownNow(), n.clock.Ahead()
	if err := n.sameTime(from, c.Now, now+ahead); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.votesLocked() {
		refused := map[int]bool{}
		for _, x := range c.Claims {
			b := quorum.Ballot(x.Ballot)
			q.hearLocked(x.Part, b)
			if highest := &q.promises[x.Part]; !highest.Accept(b) {
				refused[x.Part] = true
				c.Refused = append(c.Refused, wire.Claimed{Part: x.Part, Ballot: wire.Ballot(highest.Highest)})
			}
		}
		for _, s := range c.Slots {
			if !refused[s.ID.Partition()] {
				n.receive(s.Move(-ahead), from, now, 0)
			}
		}
	}
	c.Word = q.wordLocked()
	return from.full()
}

// serveRecover tells a voter that has started anew all that this one holds.
func (n *Node) serveRecover(t *transport.Session, id uint64, c *wire.Recover, from *session, buf []byte) ([]byte, bool, error) {
	q, p, err := n.voterFor(from)
	if err != nil {
		return buf, true, err
	}
	q.mu.Lock()
	mark := quorum.Mark(from.Name)
	if c.Known = q.lives[mark]; q.votesLocked() && c.Asker >= c.Known {
		q.lives[mark] = c.Asker
	}
	if c.Word = q.wordLocked(); !c.Fresh {
		for part := range q.promises {
			if b := q.promises[part].Highest; b != (quorum.Ballot{}) {
				c.Promises = append(c.Promises, wire.Claimed{Part: part, Ballot: wire.Ballot(b)})
			}
		}
	}
	q.mu.Unlock()
	if c.Fresh || c.Asker < c.Known {
		return c.AppendAnswer(buf), true, nil
	}
	err = n.aid(from, func() {
		s := sending{n: n, p: p, end: time.Now().Add(recoverTimeout)}
		for part := range ledger.Partitions {
			s.add(n.ledger.Slots(part, n.clock.ownNow()))
		}
		t.Answer(id, c.AppendAnswer(nil), s.finish()) // lost with its connection
	})
	return buf, err != nil, err
}

// sending is slots on their way to one peer, which is told of them by a call of its own
// before the answer to its question.
type sending struct {
	n     *Node
	p     *peer
	end   time.Time
	frame *wire.Ship
	ahead int64
	err   error
}

func (s *sending) add(slots []ledger.Slot) {
	for _, x := range slots {
		if s.frame == nil {
			s.ahead = s.n.clock.Ahead()
			s.frame = &wire.Ship{Fingerprint: s.n.view.Load().table.Fingerprint(), Now: s.n.clock.ownNow() + s.ahead}
		}
		if s.frame.Slots = append(s.frame.Slots, x.Move(s.ahead)); len(s.frame.Slots) == wire.ShipSlots {
			s.flush()
		}
	}
}

func (s *sending) flush() {
	if s.frame != nil && s.err == nil {
		s.err = s.p.calls.Call(s.n.ctx, s.end, wire.KindShip, s.frame)
	}
	s.frame = nil
}

func (s *sending) finish() error {
	s.flush()
	return s.err
}
