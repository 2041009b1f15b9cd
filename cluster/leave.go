package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-go/weir/cluster/internal/wire"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
)

// How a node leaves: it tells all others, stops owning, hands over what it holds, waits
// until that has arrived, and passes late requests on meanwhile, to the last one.

const (
	leaveMax  = 10 * time.Second       // for a Leave whose context has no deadline
	spreadMax = 2 * time.Second        // for gossip to spread the news
	leaveNews = 300 * time.Millisecond // for late requests, and for late news of the leave
)

// Leave hands everything over and leaves the cluster: no count is lost, and nobody
// waits for this node. It stops when ctx ends, or after ten seconds, and then tells
// that something was left behind; so it does where it has nobody to hand anything to, and other
// nodes have vanished less than ForgetAfter ago. The node is closed afterwards. While it leaves,
// another Leave returns an error and changes nothing.
func (n *Node) Leave(ctx context.Context) error {
	if n.closed.Load() {
		return ErrClosed
	}
	if n.leaving.Swap(true) {
		return errors.New("cluster: the node is leaving already")
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(ctx, leaveMax)
	defer cancel()
	gives, returned := n.returnLeases(func(ledger.Origin, limiter.Algorithm) bool { return true }), make(chan struct{})
	go func() { // beside the rest: who does not answer takes its time
		defer close(returned)
		n.giveBack(ctx, gives)
	}()
	n.kick(n.changed)
	gossip := make(chan struct{})
	go func() { // waits for gossip to spread it: tellLeaving is quicker
		defer close(gossip)
		n.gossip.AnnounceLeave(spreading(ctx))
	}()
	err := n.drain(ctx, false)
	<-returned
	if err == nil {
		select { // late requests are passed on meanwhile, and so is what others still hand over
		case <-time.After(leaveNews):
		case <-ctx.Done():
		}
		err = n.drain(ctx, true)
	}
	<-gossip
	n.gossip.Leave(spreading(ctx))
	n.passLast(ctx)
	return err
}

// passLast waits until those requests are answered that this node is passing on, and the answers
// are written: what is only queued is lost with its connection.
func (n *Node) passLast(ctx context.Context) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for n.waits.passing.used.Load() > 0 || n.server.Answering() {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// spreading is how long to wait for gossip to spread something: not past the end of ctx,
// which has a deadline. 0 would be for ever.
func spreading(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return max(time.Millisecond, min(spreadMax, time.Until(end)))
}

// errAlone is Leave's where nobody was there to hand anything to, and somebody may come back.
var errAlone = errors.New("cluster: left while other nodes were missing, and none was there: they do not know what this one has admitted")

// drain waits until the others have everything. The last time, in the instant in which
// that is so, this node ceases to take anything over.
func (n *Node) drain(ctx context.Context, last bool) error {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for {
		if done, alone := n.drained(last); done && last && alone && n.members.Snapshot(n.clock.age()).Misses {
			return errAlone
		} else if done {
			return nil
		}
		n.kick(n.flush)
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("cluster: left before everything was handed over: %w", ctx.Err())
		}
	}
}

// drained says whether nothing is on its way, due, or held for others; or nobody stays
// to whom it could go: then it is alone. The last time, this node takes nothing over from then
// on.
func (n *Node) drained(last bool) (done, alone bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.view.Load()
	alone = len(v.table.Members()) == 1 && v.self == 0
	shipping := slices.ContainsFunc(v.all, func(p *peer) bool { return p.shipping.Load() > 0 }) // first: what is not is due
	if !alone && (v.self >= 0 || shipping || n.seats.ceded.Load() > 0 || n.seats.waiting.Load() > 0 || n.ledger.Held().Len() > 0 || n.ledger.HasDue().Len() > 0) {
		return false, false
	}
	n.empty = n.empty || last
	return true, alone
}

// tellLeaving tells each peer that this node leaves, directly: gossip takes its time, and
// who has not heard may still hand something over. Only the loop calls it.
func (n *Node) tellLeaving(v *view) {
	for _, p := range v.all {
		if p.toldLeave.Swap(true) {
			continue
		}
		err := p.calls.Start(time.Now().Add(n.waitFor(p)), wire.KindLeaving, &wire.Leaving{}, func(err error) {
			p.toldLeave.Store(err == nil) // or again
		})
		if err != nil {
			p.toldLeave.Store(false)
		}
	}
}
