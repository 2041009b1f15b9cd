package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/quorum"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// How a limit under SplitQuorum is decided: by whoever a majority of the voters lets
// decide (claimvotes.go), and with an answer when a majority has the slot in which it was
// counted (record.go). The rules, and why they suffice, are package quorum's. Everything
// else is as for other limits: the ring says who decides in health, and who is asked when
// that one does not answer. Only may anybody try: two that do so at once slow each other
// down, and admit nothing too much.

// Two lists of voters that meet are both read.
const _ = uint(wire.VotersMax-quorum.VotersMax) + uint(quorum.VotersMax-wire.VotersMax)

// ErrNoVoters is what a take gets whose limit wants a quorum, of a node whose Config names
// no voters.
var ErrNoVoters = errors.New("cluster: a limit wants a quorum, and Config.Voters names nobody")

// agreement is a node's part in quorums. It is nil where there are no voters.
type agreement struct {
	n    *Node
	list quorum.List
	self int // this node's place in the list, or -1

	// heardAt is, by partition, the age at which a majority was asked that last agreed that
	// this node decides for it.
	heardAt [ledger.Partitions]atomic.Int64

	// mu guards the rest. What a voter says is true of the time at which it holds mu. The
	// ledger's locks may be taken under it.
	mu        sync.Mutex
	recovered bool // as a voter: it votes
	life      uint64
	lives     map[uint64]uint64 // whom it has helped to recover, by mark
	promises  [ledger.Partitions]quorum.Promise
	seen      [ledger.Partitions]quorum.Ballot // the highest heard of
	mine      [ledger.Partitions]quorum.Ballot // this node decides under it; the zero value: it does not
	claims    map[int]*claiming
	next      *recording      // what the next records are about, or nil
	flying    int             // records that are on their way
	lists     map[string]bool // of voters that were seen
}

// verdict is what became of a question to the voters.
type verdict int

const (
	noMajority verdict = iota // not enough of them answered in time
	agreed
	outvoted // somebody else has claimed the partition
)

// contactMax is for how long who decides for a partition answers what takes nothing without asking
// whether it still does. So a side without a majority says that it knows nothing after no
// more than that, and what one call takes.
const contactMax = time.Second

func newAgreement(n *Node) (*agreement, error) {
	if len(n.cfg.Voters) == 0 {
		return nil, nil
	}
	list, err := quorum.NewList(n.cfg.Voters)
	q := &agreement{n: n, list: list, self: list.Index(n.cfg.Name), life: uint64(n.origin),
		lives: map[uint64]uint64{}, claims: map[int]*claiming{}, lists: map[string]bool{fmt.Sprint(list.Marks()): true}}
	for part := range q.heardAt {
		q.heardAt[part].Store(-int64(contactMax))
	}
	return q, err
}

// agrees says whether a limit is decided by a quorum.
func (n *Node) agrees(l *limiter.Limit) bool { return n.mode(l) == limiter.SplitQuorum }

// takeQuorum is take for a limit that wants a quorum. Nothing of it is leased: a slice
// would have to be agreed on before it is handed out, and could not be called back.
func (n *Node) takeQuorum(ctx context.Context, id ledger.ID, l limiter.Limit, cost int64, trial bool) (limiter.Decision, error) {
	if n.quorum == nil {
		return limiter.Decision{}, ErrNoVoters
	}
	l.Lease = limiter.LeaseOff
	v, age := n.view.Load(), n.clock.age()
	c := &takeCall{Take: wire.Take{ID: id, Limit: l, Cost: cost, Trial: trial, Asker: n.origin}, node: n, tally: n.own}
	if n.ledger.Held().Has(id.Partition()) {
		if d, ok := n.takeHere(ctx, v, age, c, time.Now().Add(n.patience(nil, &l))); ok {
			return d, ctx.Err()
		}
	}
	if d, ok, _ := n.near.Take(id, &l, cost, age, v.serial); ok {
		return d, nil
	}
	if c.Number = uint64(n.forwarded.Add(1)); cost == 0 {
		c.Number = 0
	}
	return n.takeRemote(ctx, wire.KindTake, c)
}

// takeAgreed decides here by count, when the voters let this node decide, and answers when
// they have what was counted. Not ok is count's: the partition is not held here.
func (n *Node) takeAgreed(ctx context.Context, c *takeCall, end time.Time, count func(age time.Duration) (limiter.Decision, bool)) (limiter.Decision, bool) {
	q := n.quorum
	if q == nil {
		return n.minorityDecision(), true
	}
	for try := 0; ; try++ {
		part := c.ID.Partition()
		ballot, said := q.claim(ctx, part, end)
		if said == agreed {
			age := n.awake()
			window := n.window(c.ID, &c.Limit, age, c.Trial)
			d, ok := count(age)
			if !ok || d.Degraded {
				return d, ok
			}
			counted := d.Allowed && c.Cost > 0
			if !counted && int64(n.clock.age())-q.heardAt[part].Load() < int64(contactMax) {
				return d, true
			}
			if said = q.record(ctx, c.ID, ballot, counted, end); said == agreed {
				return waited(d, n.clock.age()-age), true
			}
			if counted {
				n.uncount(c, window)
			}
		}
		if said == noMajority || !backOff(ctx, try, end) {
			return n.minorityDecision(), true
		}
	}
}

// waited is a decision that has been waiting for its answer for a while.
func waited(d limiter.Decision, ago time.Duration) limiter.Decision {
	if d.ResetAfter = max(0, d.ResetAfter-ago); !d.Allowed {
		d.RetryAfter = max(1, d.RetryAfter-ago)
	}
	return d
}

// backOff waits a moment, longer each time and for how long nobody knows, so that two that
// claim one partition do not go on for ever. It says whether there is time to try again.
func backOff(ctx context.Context, try int, end time.Time) bool {
	pause := rand.N(time.Millisecond << min(try, 6))
	if time.Until(end) <= pause {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// uncount takes back what was counted here, and that no majority has. Whether some have it
// is not known: then they hold it against the budget until the refund reaches them.
func (n *Node) uncount(c *takeCall, window limiter.Window) {
	if c.Number != 0 {
		n.forget(&wire.Undone{ID: c.ID, Limit: c.Limit, Cost: c.Cost, Asker: c.Asker, Number: c.Number, Window: window}, false)
		return
	}
	n.ledger.Refund(c.ID, wire.Budget(&c.Limit), c.Cost, n.clock.ownNow(), window)
	if c.Trial {
		n.holds.End(c.ID, c.Cost)
	}
}

// hear notes a ballot. Whoever has made a higher claim than this node's decides.
func (q *agreement) hearLocked(part int, b quorum.Ballot) {
	if q.seen[part].Less(b) {
		q.seen[part] = b
	}
	if q.mine[part].Less(b) {
		q.mine[part] = quorum.Ballot{}
	}
}

// votesLocked says whether this node is a voter that votes.
func (q *agreement) votesLocked() bool { return q.self >= 0 && q.recovered }

// ownLocked is this node's vote, for what it has just done under mu.
func (q *agreement) ownLocked() quorum.Vote {
	return q.vote(q.self, q.wordLocked())
}

// wordLocked is what an answer of this node's begins with.
func (q *agreement) wordLocked() wire.Word {
	w := wire.Word{Fresh: !q.votesLocked(), Life: q.life}
	for mark, life := range q.lives {
		w.Lives = append(w.Lives, wire.Life{Mark: mark, Life: life})
	}
	return w
}

// vote is a voter's word as package quorum counts it.
func (q *agreement) vote(voter int, w wire.Word) quorum.Vote {
	v := quorum.Vote{Voter: voter, Life: w.Life}
	for _, x := range w.Lives {
		if i := q.list.Place(x.Mark); i >= 0 {
			v.Lives[i] = x.Life
		}
	}
	return v
}

// others are the other voters that can be asked, by their place in the list.
func (q *agreement) others() (peers [quorum.VotersMax]*peer, reachable int) {
	v := q.n.view.Load()
	for i, name := range q.list.Names() {
		if p := v.byName[name]; i != q.self && p != nil && !p.down.Load() {
			peers[i] = p
			reachable++
		}
	}
	return peers, reachable
}
