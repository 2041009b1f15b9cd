package simnet

import (
	"net"
	"syscall"
	"time"
)

// kind is what a segment carries.
type kind uint8

const (
	data kind = iota
	fin       // the sender has closed, in good order
	rst       // the sender is gone; the peer's calls fail once it has read what came before
)

type segment struct {
	kind  kind
	bytes []byte
	at    time.Duration // when it reaches the peer, if the wire is whole by then
}

// outbound is one direction of a stream: what was sent and has not arrived.
type outbound struct {
	segments  queue[segment]
	bytes     int           // in segments
	last      time.Duration // arrival of the latest: streams stay in order
	expected  bool          // onArrival is scheduled
	onArrival func()

	// While unanswered, a retransmission is due. A healthy stream has no timers.
	unanswered bool          // bytes or their acknowledgement got lost
	held       bool          // and nothing more passes until a retransmission does
	rto        time.Duration // current backoff
	tries      int
	spell      uint64 // number of this spell of silence; outdates old events

	cut      bool   // KeepAlive's view of the wire
	cutSpell uint64 // number of this cut; outdates old events
}

// sendLocked queues a segment behind the others.
func (c *conn) sendLocked(k kind, b []byte) {
	delay, _ := c.net.linkLocked(c.host, c.peer.host)
	c.out.last = max(c.out.last, c.net.plan.now()+delay)
	c.out.segments.push(segment{k, b, c.out.last})
	c.out.bytes += len(b)
	c.pumpLocked()
}

// pumpLocked delivers what has reached the peer by now.
func (c *conn) pumpLocked() {
	for c.out.segments.len() > 0 && !c.out.held {
		// Only the head is looked at: what is behind it arrives later or together.
		next := c.out.segments.first()
		if next.at > c.net.plan.now() {
			c.expectLocked(next.at)
			return
		}
		there, back, forgotten := c.pathLocked()
		switch {
		case forgotten:
			c.breakLocked(syscall.ECONNRESET)
			return
		case !there && c.err != nil:
			c.dropLocked() // a dead process's last words are not sent twice
			return
		case !there:
			c.out.held = true
			c.unansweredLocked()
			return
		}
		s := c.out.segments.pop()
		c.out.bytes -= len(s.bytes)
		c.deliverLocked(s, back)
		if !back && c.err == nil {
			c.unansweredLocked()
		}
	}
	c.detachLocked()
}

// expectLocked schedules the next arrival, one at a time for each direction.
func (c *conn) expectLocked(at time.Duration) {
	if !c.out.expected {
		c.out.expected = true
		c.net.plan.at(at, c.out.onArrival)
	}
}

// pathLocked says which ways are open, and whether the peer's machine has rebooted
// since and answers for a stream it has never heard of.
func (c *conn) pathLocked() (there, back, forgotten bool) {
	n, far := c.net, c.peer.host
	if far.gone {
		// The host with that address is another by now, if there is one.
		now := n.byAddr[far.addr]
		return false, false, now != nil && now != far && n.upLocked(c.host, now) && n.upLocked(now, c.host)
	}
	return n.upLocked(c.host, far), n.upLocked(far, c.host), false
}

// deliverLocked is a segment's arrival at the peer. With the way back cut, a reset
// that it provokes never reaches us.
func (c *conn) deliverLocked(s segment, back bool) {
	p := c.peer
	switch {
	case s.kind == rst:
		p.breakLocked(syscall.ECONNRESET)
	case p.closed || p.err != nil:
		// Nobody will read it. A kernel answers bytes with a reset, a FIN with nothing.
		if s.kind == data && back {
			delay, _ := c.net.linkLocked(p.host, c.host)
			c.net.plan.after(delay, func() { c.breakLocked(syscall.ECONNRESET) })
		}
	case s.kind == fin:
		p.eof = true
		p.readable.Broadcast()
	default:
		p.received.push(s.bytes)
		p.unread += len(s.bytes)
		p.readable.Broadcast()
	}
}

// unansweredLocked begins a spell of silence: the sender hears no acknowledgement.
func (c *conn) unansweredLocked() {
	if c.out.unanswered {
		return
	}
	// Events are not cancelled but outdated: those of an earlier spell see another
	// number and do nothing.
	c.out.unanswered = true
	c.out.tries = 0
	c.out.spell++
	spell, opt := c.out.spell, c.net.opt
	if opt.RTO > 0 {
		c.out.rto = opt.RTO
		c.net.plan.after(c.out.rto, func() { c.retransmitLocked(spell) })
	}
	if opt.UserTimeout > 0 {
		c.net.plan.after(opt.UserTimeout, func() {
			if c.out.unanswered && c.out.spell == spell {
				c.breakLocked(syscall.ETIMEDOUT)
			}
		})
	}
}

// retransmitLocked tries again, and backs off if it is in vain.
func (c *conn) retransmitLocked(spell uint64) {
	if !c.out.unanswered || c.out.spell != spell || c.recoverLocked() {
		return
	}
	// From now on new bytes wait behind those that are being retransmitted.
	c.out.held = true
	if c.out.tries++; c.out.tries >= rtoTries {
		c.breakLocked(syscall.ETIMEDOUT)
		return
	}
	c.out.rto = min(2*c.out.rto, rtoMax)
	c.net.plan.after(c.out.rto, func() { c.retransmitLocked(spell) })
}

// recoverLocked ends the silence if the wire is whole: all that was held sets out
// again. It reports whether the silence is over, one way or the other.
func (c *conn) recoverLocked() bool {
	there, back, forgotten := c.pathLocked()
	if forgotten {
		c.breakLocked(syscall.ECONNRESET)
		return true
	}
	if !there || !back {
		return false
	}
	// All of it at once, where TCP would open its window step by step: at the sizes
	// of a test that is within one round trip.
	c.out.unanswered, c.out.held = false, false
	delay, _ := c.net.linkLocked(c.host, c.peer.host)
	soonest := c.net.plan.now() + delay
	for i, s := range c.out.segments.all() {
		c.out.segments.all()[i].at = max(s.at, soonest)
	}
	c.out.last = max(c.out.last, soonest)
	c.pumpLocked()
	return true
}

// wireChangedLocked looks at the wire after a fault, for the options that notice one
// before the next retransmission.
func (c *conn) wireChangedLocked() {
	if c.net.opt.RTO < 0 && c.out.unanswered && c.recoverLocked() {
		return
	}
	// Both ways must be open for a probe to be answered. The clock starts with the
	// cut and is set back by a mended wire, as probes between the two would do.
	there, back, _ := c.pathLocked()
	if c.net.opt.KeepAlive <= 0 || c.out.cut == !(there && back) {
		return
	}
	c.out.cut = !c.out.cut
	c.out.cutSpell++
	if !c.out.cut {
		return
	}
	spell := c.out.cutSpell
	c.net.plan.after(c.net.opt.KeepAlive, func() {
		if c.out.cutSpell == spell {
			c.breakLocked(syscall.ETIMEDOUT)
		}
	})
}

// breakLocked ends the stream on this side with err. The peer hears nothing; if it
// sends, it will be reset.
func (c *conn) breakLocked(err error) {
	// Of a stream that was closed nobody sees the error, so it counts as no failure.
	if c.err == nil && !c.closed {
		c.net.stats.Resets++
	}
	if c.err == nil {
		c.err = err
	}
	c.stopLocked()
	c.dropLocked()
}

// abortLocked ends the stream on this side and sends a reset behind what is already
// on the wire, unless the goodbye has been said or the wire is known to be dead.
func (c *conn) abortLocked() {
	if c.err != nil {
		return
	}
	c.err = net.ErrClosed // for calls of a killed process; Close has its own check
	c.stopLocked()
	c.forgetReceivedLocked()
	c.out.unanswered = false
	if c.out.held {
		c.dropLocked()
		return
	}
	c.sendLocked(rst, nil)
}

// dropLocked forgets what was not delivered.
func (c *conn) dropLocked() {
	c.out.segments.reset()
	c.out.bytes = 0
	c.out.unanswered, c.out.held = false, false
	c.detachLocked()
}

// detachLocked lets go of a stream that has nothing more to say.
func (c *conn) detachLocked() {
	// Until then Kill must find it, and so must a wire that is mended.
	if c.out.segments.len() == 0 && (c.closed || c.err != nil) {
		delete(c.host.conns, c)
	}
}
