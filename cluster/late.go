package cluster

import (
	"errors"
	"sync"
	"time"

	"github.com/weir-go/weir/cluster/internal/wait"
	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// An answer that comes after its asker has gone on to somebody else, and says "admitted":
// what was counted for it is one too many, unless the request is just waiting for somebody
// else, or was answered by the same process in the end. So a slow node costs no budget.

// belated is a request of which an answer may come late.
type belated struct {
	n     *Node
	what  wire.Undone
	asker bool // the request is this process's own

	mu      sync.Mutex
	over    bool
	by      ledger.Origin // whose admission was relied on, 0 if nobody's
	arrived []arrival
}

// arrival is an admission that came late.
type arrival struct {
	by     ledger.Origin
	window limiter.Window
	d      limiter.Decision
}

// Late is what becomes of a take that timed out. What it costs is paid by those alone.
func (c *takeCall) Late() func(body []byte, err error) {
	if c.Number == 0 {
		return nil
	}
	if c.late == nil {
		c.late = &belated{n: c.node, asker: c.Asker == c.node.origin,
			what: wire.Undone{ID: c.ID, Limit: c.Limit, Cost: c.Cost, Asker: c.Asker, Number: c.Number}}
	}
	l, p := c.late, c.to
	return func(body []byte, err error) {
		var answer takeCall
		if err != nil || answer.ReadAnswer(body) != nil {
			return
		}
		if answer.By == 0 {
			answer.By = p.origin
		}
		if answer.Outcome == wire.Decided && answer.Decision.Allowed {
			l.add(arrival{answer.By, answer.Decision.Window, answer.Decision})
		}
	}
}

// add takes an admission that came late.
func (l *belated) add(a arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.arrived = append(l.arrived, a) // it may still be of use
		return
	}
	l.undo(a)
}

func (l *belated) undo(a arrival) {
	if a.by == l.by {
		return
	}
	u := l.what
	u.Window = a.window
	if u.Limit.Algorithm == limiter.TokenBucket || u.Window != 0 {
		l.n.takeBack(a.by, u, l.asker)
	}
}

// cameLate says whether the answer of somebody who was given up is there by now; then
// it is c's answer, if it still holds.
func (c *takeCall) cameLate() bool {
	if c.late == nil {
		return false
	}
	c.late.mu.Lock()
	defer c.late.mu.Unlock()
	if len(c.late.arrived) == 0 {
		return false
	}
	a := c.late.arrived[0]
	if a.window.End() == 0 {
		return false // nobody knows for when it holds
	}
	reset := time.Duration(a.window.End() - c.late.n.clock.now())
	if c.Limit.Algorithm == limiter.SlidingWindow {
		reset += c.Limit.Window
	}
	if a.d.ResetAfter = reset; reset <= 0 {
		return false
	}
	c.Outcome, c.Decision, c.By = wire.Decided, a.d, a.by
	c.named()
	return true
}

// settle ends a request: whatever comes, or came, of others than who was relied on is
// taken back.
func (c *takeCall) settle(d limiter.Decision) {
	l := c.late
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over = true; d.Allowed {
		if l.by = c.By; l.by == 0 {
			l.by = l.n.origin
		}
	}
	for _, a := range l.arrived {
		l.undo(a)
	}
	l.arrived = nil
}

const (
	undosMax  = 4096 // that wait for one peer; more are not undone
	undoTries = 3
)

// undos is what a peer is to take back.
type undos struct {
	mu   sync.Mutex
	list []wire.Undone
	busy bool
}

// takeBack has a process take back what it counted. It never blocks.
func (n *Node) takeBack(by ledger.Origin, u wire.Undone, asker bool) {
	u.Relay = !asker
	if by == n.origin {
		if n.forget(&u, asker) {
			n.undone.Add(1)
		}
		return
	}
	for _, p := range n.view.Load().all {
		if p.origin != by {
			continue
		}
		p.undos.mu.Lock()
		if len(p.undos.list) < undosMax {
			p.undos.list = append(p.undos.list, u)
		}
		begin := !p.undos.busy
		p.undos.busy = true
		p.undos.mu.Unlock()
		if begin {
			n.spawn(func() { n.sendUndos(p) })
		}
		return
	}
}

// sendUndos tells a peer until there is nothing left to tell. Told twice, it does nothing.
func (n *Node) sendUndos(p *peer) {
	for {
		p.undos.mu.Lock()
		k := min(len(p.undos.list), wire.UndoMost)
		c := &wire.Undo{List: p.undos.list[:k:k], Self: n.origin}
		p.undos.list = p.undos.list[k:]
		p.undos.busy = k > 0
		p.undos.mu.Unlock()
		if k == 0 {
			return
		}
		for range undoTries {
			err := p.calls.Call(n.ctx, time.Now().Add(wait.ConnectMax+wait.Max), wire.KindUndo, c)
			if err == nil {
				n.undone.Add(int64(c.Done))
			}
			if err == nil || errors.Is(err, transport.ErrClosed) || !n.sleep(probeMax) {
				break
			}
		}
	}
}

// sleep waits, and says whether the node is still there.
func (n *Node) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-n.ctx.Done():
		return false
	}
}
