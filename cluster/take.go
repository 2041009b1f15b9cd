package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// ErrClosed is what Take and Give return after Close or Leave.
var ErrClosed = errors.New("cluster: the node is closed")

// pausedAfter is how long the loop may not have run before the node doubts that it
// is still what the others take it for. Gossip needs longer to replace a node.
const pausedAfter = time.Second

// Take takes cost from the budget that key has under l in the whole cluster, or says
// why not and when. A cost of 0 looks and takes nothing, and is always answered by who
// decides; a denial of more may be remembered here, for a second at most where another
// node gives something back. It answers within CallTimeout and half as much again,
// whatever fails; an answer marked Degraded was given without the budget's owner. It
// does not keep key.
//
// The error is one of limiter.ErrKey, ErrLimit and ErrCost for arguments that cannot
// be, ErrClosed, or the context's.
func (n *Node) Take(ctx context.Context, key string, l limiter.Limit, cost int64) (limiter.Decision, error) {
	if err := limiter.Check(key, l, cost); err != nil {
		return limiter.Decision{}, err
	}
	if err := n.usable(ctx); err != nil {
		return limiter.Decision{}, err
	}
	id, v, age := n.hasher.ID(key, l), n.view.Load(), n.awake()
	if n.ledger.Held().Has(id.Partition()) {
		if d, ok := n.takeHere(ctx, v, age, id, &l, cost); ok {
			return d, nil
		}
	}
	d, ok, want := n.near.take(id, &l, cost, age, v.serial)
	if want > 0 {
		n.askLease(v, id, l, want)
	}
	if ok {
		return d, nil
	}
	n.forwarded.Add(1)
	c := n.calls.Get().(*takeCall)
	defer n.calls.Put(c)
	*c = takeCall{id: id, lim: l, cost: cost}
	return n.takeRemote(ctx, kindTake, c)
}

// takeHere is takeHeld, and where that denies, once more when all is here that can be
// called back.
func (n *Node) takeHere(ctx context.Context, v *view, age time.Duration, id limiter.ID, l *limiter.Limit, cost int64) (limiter.Decision, bool) {
	got := n.leases.got.Load()
	d, ok := n.takeHeld(v, age, id, l, cost)
	if ok && !d.Allowed && !d.Degraded && n.leases.denied(id, got) {
		return n.takeRecalled(ctx, id, l, cost)
	}
	return d, ok
}

// Give puts cost back into the budget of key under l, never more than was taken from
// it in this window, and nothing if the window ends on the way. Where it is not
// certain that a refund was lost, it is not repeated: a budget may stay smaller, never
// become larger. Its errors are those of Take.
func (n *Node) Give(ctx context.Context, key string, l limiter.Limit, cost int64) error {
	if err := limiter.Check(key, l, cost); err != nil {
		return err
	}
	if err := n.usable(ctx); err != nil {
		return err
	}
	id, now := n.hasher.ID(key, l), n.clock.at(n.awake())
	if n.ledger.GiveHeld(id, l, cost, now) {
		return nil
	}
	c := n.calls.Get().(*takeCall)
	defer n.calls.Put(c)
	*c = takeCall{id: id, lim: l, cost: cost}
	if l.Algorithm != limiter.TokenBucket {
		c.start = limiter.WindowStart(id, &l, now)
	}
	_, err := n.takeRemote(ctx, kindGive, c)
	n.near.forget(id, n.clock.age())
	return err
}

// giveHeld gives back what another node was asked to, if this one holds the partition.
func (n *Node) giveHeld(c *takeCall) bool {
	if now := n.clock.now(); !c.late(now) {
		return n.ledger.GiveHeld(c.id, c.lim, c.cost, now)
	}
	return n.ledger.Held().Has(c.id.Partition())
}

// late says that the window of a give is over: what it would give back counts no more.
func (c *takeCall) late(now int64) bool {
	return c.start != 0 && limiter.WindowStart(c.id, &c.lim, now) != c.start
}

func (n *Node) usable(ctx context.Context) error {
	if n.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// awake is this node's age. It sees to it that the loop is awake, and that a node that
// was stopped doubts before it decides.
func (n *Node) awake() time.Duration {
	n.rouse()
	age := n.clock.age()
	if age-time.Duration(n.ticked.Load()) > pausedAfter {
		n.wakeUp(age)
	}
	return age
}

// takeHeld decides here, at an age that awake has told, if this node holds the partition.
func (n *Node) takeHeld(v *view, age time.Duration, id limiter.ID, l *limiter.Limit, cost int64) (limiter.Decision, bool) {
	now := n.clock.at(age)
	var s limiter.Share
	if v.heard < v.known || !v.caught || v.healing(age) {
		mode, minority := n.mode(l), false
		if s, minority = v.share(mode); minority {
			return n.minorityDecision(), true
		}
		if one, ok := n.caution(v, mode, id, l, now); ok {
			s = one
		}
	}
	return n.ledger.TakeHeld(id, *l, cost, now, s)
}

// beat tells that the loop runs, unless it has not for too long.
func (n *Node) beat() {
	if age := n.clock.age(); age-time.Duration(n.ticked.Load()) <= pausedAfter {
		n.ticked.Store(int64(age))
	}
}

// wakeUp doubts once per pause. Who comes meanwhile waits until that is done: what had
// queued while the process was stopped must not be served as if nothing had happened.
func (n *Node) wakeUp(age time.Duration) {
	if age-time.Duration(n.ticked.Load()) <= pausedAfter {
		return
	}
	n.wakeMu.Lock()
	defer n.wakeMu.Unlock()
	if age-time.Duration(n.ticked.Load()) > pausedAfter {
		n.epoch.Add(1)
		n.doubt()
		n.ticked.Store(int64(age))
	}
}

// mode is how a limit behaves in a split.
func (n *Node) mode(l *limiter.Limit) limiter.Split {
	if l.Split != limiter.SplitDefault {
		return l.Split
	}
	return n.cfg.Split
}

// minorityDecision denies in the name of a quorum that is elsewhere.
func (n *Node) minorityDecision() limiter.Decision {
	n.degraded.Add(1)
	return limiter.Decision{Degraded: true, RetryAfter: time.Second, ResetAfter: time.Second}
}

// takeRemote finds somebody who decides. It asks again where the partition is just
// changing hands.
func (n *Node) takeRemote(ctx context.Context, kind uint8, c *takeCall) (limiter.Decision, error) {
	end := time.Now().Add(n.cfg.CallTimeout + n.cfg.CallTimeout/callOverhead)
	r := round{n: n, ctx: ctx, kind: kind, c: c, end: end}
	d, err := r.finish()
	if r.by != nil && kind == kindTake && err == nil {
		n.near.deny(c.id, &c.lim, c.cost, d, r.began, r.v.serial)
	}
	return d, err
}

// finish goes through rounds until there is a decision.
func (r *round) finish() (limiter.Decision, error) {
	n, c := r.n, r.c
	for {
		r.v = n.view.Load()
		d, ok, err := r.decision()
		if ok || err != nil {
			return d, err
		}
		if !r.again() {
			alone := !r.v.owns(c.id.Partition())
			return r.decide(n.forcedShare(r.v, &c.lim, alone), alone), r.ctx.Err()
		}
	}
}

// decision asks the holder, then the successors, then any node that reaches one of
// them. Not ok means that the holder has just handed over, or that nobody answers.
func (r *round) decision() (d limiter.Decision, ok bool, err error) {
	n, v, c, part := r.n, r.v, r.c, r.c.id.Partition()
	holder, passing := n.holder(v, part)
	if holder != nil {
		flags := uint8(0)
		switch {
		case passing && r.told:
			flags = flagFailover // it knows who decides, or has copies
		case passing:
			flags = flagPassed
		}
		if ok, err := r.ask(holder, flags, n.cfg.CallTimeout); ok || err != nil {
			return c.d, ok, err
		}
		if d, ok := r.here(); ok { // it has become ours meanwhile
			return d, true, nil
		}
		if c.outcome == notHolder {
			r.told = true
			return d, false, nil
		}
	}
	if v.owns(part) {
		return r.decide(n.forcedShare(v, &c.lim, false), false), true, nil
	}
	for rank := 1; rank <= n.cfg.Replicas; rank++ {
		next, mine := v.holderPeer(part, rank)
		if mine {
			if ok, err := r.askOthers(holder, flagFailover); ok || err != nil {
				return c.d, ok, err
			}
			return r.decide(n.forcedShare(v, &c.lim, false), false), true, nil
		}
		if next == nil || next == holder {
			continue
		}
		left := time.Until(r.end) / time.Duration(n.cfg.Replicas-rank+1) // some for the next one
		if ok, err := r.ask(next, flagFailover, left); ok || err != nil {
			return c.d, ok, err
		}
	}
	ok, err = r.askOthers(holder, flagFailover)
	c.outcome = unreachable
	return c.d, ok, err
}

// again waits a moment where an answer told of a hand-over: the partition may come
// here, or the view may change. It says whether there is time to ask again.
func (r *round) again() bool {
	if r.c.outcome != notHolder {
		return false
	}
	next := time.Now().Add(askAgain)
	if next.After(r.end) {
		next = r.end
	}
	w := r.n.pendingOf(r.c.id.Partition())
	if w == nil {
		w = &pending{}
	}
	w.await(r.ctx, next)
	return r.ctx.Err() == nil && time.Now().Before(r.end)
}

const askAgain = 2 * time.Millisecond // while a partition changes hands

// holder is the peer that is asked first for a partition, nil if that is this node.
// passing says that this node owns it already and passes the request on.
func (n *Node) holder(v *view, part int) (p *peer, passing bool) {
	if w := n.pendingOf(part); w != nil {
		return v.byName[w.from], true
	}
	p, _ = v.holderPeer(part, 0)
	return p, false
}

// forcedShare is what may be admitted without the holder: all of the limit by a
// successor with copies, unless the limit wants its bound kept in a split that is
// perhaps just not noticed yet; one node's share by a node without copies.
func (n *Node) forcedShare(v *view, l *limiter.Limit, alone bool) limiter.Share {
	one := limiter.Share{Seen: 1, Known: v.known}
	s, _ := v.share(n.mode(l))
	if alone || n.mode(l) != limiter.SplitFull {
		return one
	}
	return s
}

// round is one request on its way from node to node.
type round struct {
	n    *Node
	ctx  context.Context
	v    *view
	kind uint8
	c    *takeCall
	end  time.Time
	told bool // that who should hold the partition does not

	by    *peer         // the holder, if it decided
	began time.Duration // this node's age when it was asked
}

// ask asks one peer. ok says that it decided; an error ends the round.
func (r *round) ask(p *peer, flags uint8, timeout time.Duration) (ok bool, err error) {
	now := time.Now()
	if left := r.end.Sub(now); left < timeout {
		if timeout = left; left < r.n.cfg.CallTimeout/16 {
			return false, nil // no time to answer: a failure would say nothing of the peer, nor of who holds
		}
	}
	r.c.flags, r.c.outcome = flags, unreachable
	began := r.n.clock.age()
	switch err := r.n.ask(r.ctx, p, now.Add(timeout), r.kind, r.c); {
	case err == nil:
		if ok = r.c.outcome == decided; ok && flags == 0 {
			r.by, r.began = p, began
		}
		return ok, nil
	case r.ctx.Err() != nil:
		return false, r.ctx.Err()
	case r.kind == kindGive && maybeSent(err):
		r.c.outcome = decided // not twice: nor by who asked us to pass it on
		return true, nil
	}
	return false, nil
}

func maybeSent(err error) bool {
	var call *transport.CallError
	return errors.As(err, &call) && call.Sent
}

// askOthers asks nodes that are neither the holder nor a successor: perhaps just our
// link to those is dead.
func (r *round) askOthers(holder *peer, flags uint8) (ok bool, err error) {
	part, age := r.c.id.Partition(), int64(r.n.clock.age())
	for _, p := range r.v.all {
		if p == holder || p.down.Load() || p.noRelay.Load() > age || r.isHolder(p, part) {
			continue
		}
		ok, err = r.ask(p, flags, r.n.cfg.CallTimeout/callOverhead)
		if ok || err != nil {
			return ok, err
		}
		p.noRelay.Store(age + int64(relayPause))
	}
	return false, nil
}

const relayPause = 500 * time.Millisecond

func (r *round) isHolder(p *peer, part int) bool {
	for rank := range r.n.cfg.Replicas + 1 {
		if q, _ := r.v.holderPeer(part, rank); q == p {
			return true
		}
	}
	return false
}

// here decides if this node holds the partition.
func (r *round) here() (limiter.Decision, bool) {
	if r.kind == kindGive {
		return limiter.Decision{}, r.n.giveHeld(r.c)
	}
	return r.n.takeHere(r.ctx, r.v, r.n.awake(), r.c.id, &r.c.lim, r.c.cost)
}

// decide decides here although another node should. What it admits is counted in
// this node's own slot, which reaches the others when it can.
func (r *round) decide(s limiter.Share, alone bool) limiter.Decision {
	n, now := r.n, r.n.clock.now()
	if r.kind == kindGive {
		if !r.c.late(now) {
			n.ledger.Give(r.c.id, r.c.lim, r.c.cost, now)
		}
		return limiter.Decision{}
	}
	if _, minority := r.v.share(n.mode(&r.c.lim)); minority {
		return n.minorityDecision()
	}
	d := n.ledger.Take(r.c.id, r.c.lim, r.c.cost, now, s)
	if n.failovers.Add(1); alone {
		n.degraded.Add(1)
		d.Degraded = true
	}
	return d
}
