package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-go/weir/cluster/internal/quorum"
	"github.com/weir-go/weir/cluster/internal/wire"
)

// How a voter recovers when it has started anew.

const (
	recoverTimeout = 30 * time.Second // for all that a voter holds to be sent
	recoverEvery   = 100 * time.Millisecond
	recoverSeldom  = time.Second // when it has been asked for a while in vain
)

// recover asks the other voters, until this one may vote.
func (q *agreement) recover() {
	var heard quorum.Recovery
	for pause := recoverEvery; ; pause = min(2*pause, recoverSeldom) {
		failed := q.askAll(&heard)
		if heard.Recovered(q.list) || !failed && heard.Anew(q.list) {
			q.mu.Lock()
			q.recovered = true
			q.mu.Unlock()
			return
		}
		if !q.n.sleep(pause) {
			return
		}
	}
}

// askAll asks all voters that answer and have not helped yet. It says whether one that
// should have answered did not.
func (q *agreement) askAll(heard *quorum.Recovery) bool {
	heard.Again()
	peers, _ := q.others()
	life := q.life // nobody else writes it
	var failed atomic.Bool
	var calls [quorum.VotersMax]*wire.Recover
	var wait sync.WaitGroup
	for i, p := range peers {
		if p == nil || heard.Has(i) {
			continue
		}
		wait.Go(func() {
			m := &wire.Recover{Asker: life}
			if err := p.calls.Call(q.n.ctx, time.Now().Add(recoverTimeout), wire.KindRecover, m); err != nil {
				q.n.failed(p, err)
				failed.Store(true)
				return
			}
			calls[i] = m
		})
	}
	wait.Wait()
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range calls {
		switch {
		case m == nil:
		case m.Fresh:
			heard.Fresh(i)
		case m.Known > life: // by an earlier process's clock that was ahead
			q.life = m.Known + 1
			*heard = quorum.Recovery{}
			return true
		default:
			q.helpedLocked(i, m)
			heard.Helped(i)
		}
	}
	return failed.Load()
}

// helpedLocked takes over what another voter knows of ballots and lives; its slots are
// here already.
func (q *agreement) helpedLocked(voter int, m *wire.Recover) {
	for _, x := range m.Promises {
		q.hearLocked(x.Part, quorum.Ballot(x.Ballot))
		q.promises[x.Part].Accept(quorum.Ballot(x.Ballot))
	}
	for _, x := range append(m.Lives, wire.Life{Mark: q.list.Marks()[voter], Life: m.Life}) {
		if len(q.lives) < 2*quorum.VotersMax || q.lives[x.Mark] != 0 {
			q.lives[x.Mark] = max(q.lives[x.Mark], x.Life)
		}
	}
}
