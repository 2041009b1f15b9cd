package cluster

import (
	"context"
	"time"

	"github.com/weir-go/weir/cluster/internal/quorum"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
)

// recording is what was counted and waits for a majority of the voters to have it: many
// takes, of many partitions, in one call to each voter. What comes while enough of them
// are on their way goes with the next one.
type recording struct {
	claims map[int]quorum.Ballot
	ids    map[ledger.ID]struct{}
	began  time.Duration // age at which it left
	count  quorum.Count
	open   int // voters that have not answered
	over   bool
	said   verdict
	lost   map[int]bool // partitions that somebody else has claimed
	done   chan struct{}
}

const flyingMax = 4 // recordings on their way at a time

// record waits until a majority of the voters has the slot of an id that was counted under
// a ballot, or without a slot, until they have said that the ballot holds.
func (q *agreement) record(ctx context.Context, id ledger.ID, b quorum.Ballot, counted bool, end time.Time) verdict {
	part := id.Partition()
	q.mu.Lock()
	if r := q.next; r != nil {
		if other, ok := r.claims[part]; ok && other != b || len(r.ids) == wire.RecordSlots || len(r.claims) == wire.RecordSlots {
			q.sendLocked()
		}
	}
	r := q.next
	if r == nil {
		r = &recording{claims: map[int]quorum.Ballot{}, ids: map[ledger.ID]struct{}{}, done: make(chan struct{})}
		q.next = r
	}
	if r.claims[part] = b; counted {
		r.ids[id] = struct{}{}
	}
	if q.flying < flyingMax {
		q.sendLocked()
	}
	q.mu.Unlock()
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
		return noMajority
	case <-ctx.Done():
		return noMajority
	}
	if r.lost[part] {
		return outvoted
	}
	return r.said
}

// sendLocked sends the next recording to all voters.
func (q *agreement) sendLocked() {
	n, r := q.n, q.next
	q.next, r.began = nil, n.clock.age()
	q.flying++
	if q.votesLocked() {
		for part, b := range r.claims {
			if !q.promises[part].Accept(b) {
				q.lostLocked(r, part, q.promises[part].Highest)
			}
		}
		r.count.Add(q.ownLocked())
	}
	ahead := n.clock.Ahead()
	now := n.clock.ownNow()
	all := wire.Record{Now: now + ahead}
	for part, b := range r.claims {
		all.Claims = append(all.Claims, wire.Claimed{Part: part, Ballot: wire.Ballot(b)})
	}
	for id := range r.ids {
		if s, ok := n.ledger.Own(id, now); ok { // or its window is over
			all.Slots = append(all.Slots, s.Move(ahead))
		}
	}
	r.open = 1 // while it is being sent
	peers, _ := q.others()
	for i, p := range peers {
		if p == nil {
			continue
		}
		m := all
		err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindRecord, &m, func(err error) {
			if err != nil {
				n.failed(p, err)
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			q.recordedLocked(r, i, &m, err)
		})
		if err == nil {
			r.open++
		}
	}
	r.open--
	q.settleLocked(r)
}

// recordedLocked takes one voter's answer.
func (q *agreement) recordedLocked(r *recording, voter int, m *wire.Record, err error) {
	r.open--
	if err == nil && !m.Fresh {
		for _, x := range m.Refused {
			q.lostLocked(r, x.Part, quorum.Ballot(x.Ballot))
		}
		r.count.Add(q.vote(voter, m.Word))
	}
	q.settleLocked(r)
}

// lostLocked notes that a voter has granted a partition to somebody else. Its vote does
// not count for that partition; so none of the recording does, which is simpler.
func (q *agreement) lostLocked(r *recording, part int, b quorum.Ballot) {
	if q.hearLocked(part, b); r.over {
		return
	}
	if r.lost == nil {
		r.lost = map[int]bool{}
	}
	r.lost[part] = true
}

// settleLocked ends a recording when a majority has it, or nobody can answer any more.
func (q *agreement) settleLocked(r *recording) {
	switch {
	case r.over:
		return
	case r.count.Votes() >= q.list.Majority():
		r.said = agreed
		for part := range r.claims {
			if !r.lost[part] {
				q.heardAt[part].Store(int64(r.began))
			}
		}
	case r.open > 0:
		return
	}
	r.over = true
	close(r.done)
	if q.flying--; q.next != nil {
		q.sendLocked()
	}
}
