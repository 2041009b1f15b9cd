package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/quorum"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// claiming is a claim of a partition that is under way.
type claiming struct {
	part   int
	ballot quorum.Ballot
	began  time.Duration
	count  quorum.Count
	open   int // voters that have not answered
	over   bool
	said   verdict
	done   chan struct{}
}

const claimTimeout = 2 * time.Second // for all slots of a partition to be here

// claim sees to it that the voters let this node decide for a partition, and waits for
// that until end. A claim goes on without its asker: the next one finds it made.
func (q *agreement) claim(ctx context.Context, part int, end time.Time) (quorum.Ballot, verdict) {
	q.mu.Lock()
	if b := q.mine[part]; b != (quorum.Ballot{}) {
		q.mu.Unlock()
		return b, agreed
	}
	c := q.claims[part]
	if c == nil {
		if c = q.beginLocked(part); c == nil {
			q.mu.Unlock()
			return quorum.Ballot{}, noMajority
		}
	}
	q.mu.Unlock()
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-c.done:
		return c.ballot, c.said
	case <-timer.C:
	case <-ctx.Done():
	}
	return c.ballot, noMajority
}

// beginLocked asks all voters, this node among them if it is one; nil if so few can be
// asked that it is in vain.
func (q *agreement) beginLocked(part int) *claiming {
	peers, reachable := q.others()
	votes := 0
	if q.votesLocked() {
		votes = 1
	}
	if votes+reachable < q.list.Majority() {
		return nil
	}
	n := q.n
	c := &claiming{part: part, ballot: q.seen[part].Above(uint64(n.origin)), began: n.clock.age(), done: make(chan struct{})}
	q.claims[part], q.seen[part] = c, c.ballot
	if votes > 0 && q.promises[part].Grant(c.ballot) {
		c.count.Add(q.ownLocked())
	}
	c.open = 1 // while it is being asked
	for i, p := range peers {
		if p == nil {
			continue
		}
		m := &wire.Vote{Claimed: wire.Claimed{Part: part, Ballot: wire.Ballot(c.ballot)}, Left: claimTimeout}
		err := p.calls.Start(time.Now().Add(claimTimeout+n.waitFor(p)), wire.KindVote, m, func(err error) {
			if err != nil {
				n.failed(p, err)
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			q.answeredLocked(c, i, m, err)
		})
		if err == nil {
			c.open++
		}
	}
	c.open--
	q.judgeLocked(c)
	return c
}

// answeredLocked takes one voter's answer to a claim.
func (q *agreement) answeredLocked(c *claiming, voter int, m *wire.Vote, err error) {
	c.open--
	if err == nil {
		highest := quorum.Ballot(m.Highest)
		q.hearLocked(c.part, highest)
		switch {
		case m.Granted:
			c.count.Add(q.vote(voter, m.Word))
		case c.ballot.Less(highest) && !c.over:
			q.endLocked(c, outvoted)
		}
	}
	q.judgeLocked(c)
}

func (q *agreement) judgeLocked(c *claiming) {
	switch {
	case c.over:
	case c.count.Votes() >= q.list.Majority():
		q.mine[c.part] = c.ballot
		q.heardAt[c.part].Store(int64(c.began))
		q.endLocked(c, agreed)
	case c.open == 0:
		q.endLocked(c, noMajority)
	}
}

func (q *agreement) endLocked(c *claiming, said verdict) {
	c.over, c.said = true, said
	delete(q.claims, c.part)
	close(c.done)
}
