package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// The messages between nodes, as msgpack arrays written and read by hand. A reader
// skips the elements that a newer minor version may add at the end.

// Kinds of calls.
const (
	kindTake     = 1  // decide: takeCall
	kindGive     = 2  // refund: takeCall
	kindShip     = 3  // copies of slots: shipCall
	kindClaim    = 4  // who decides for these partitions? claimCall
	kindComplete = 5  // you decide for this partition from here on: completeCall
	kindTime     = 6  // your age and cluster time: timeCall; also the probe of a peer
	kindLeaving  = 7  // I am leaving: leavingCall; gossip says so too, but may take its time
	kindCaughtUp = 8  // you have all that you should have from me: caughtUpCall
	kindLease    = 9  // hand me a part of a budget: leaseCall
	kindRecall   = 10 // give back what is left of a lease: recallCall
	kindKeep     = 11 // what was taken on trial is spent: keepCall
	kindUndo     = 12 // take back what was counted and answered too late: undoCall
)

// Flags of a take.
const (
	flagPassed   = 1 << iota // passed on by a node: do not pass it on again
	flagFailover             // the partition's holder did not answer the sender
	flagBlind                // the sender should hold it, and has no copies

	flagsAll = flagPassed | flagFailover | flagBlind
)

// Outcomes of a take.
const (
	decided     = iota
	notHolder   // passed on to a node that does not decide for the partition
	unreachable // who decides did not answer the node that was asked
)

var errMessage = errors.New("cluster: malformed message")

// takeCall is a take or a give, and its answer.
type takeCall struct {
	id    limiter.ID
	lim   limiter.Limit
	cost  int64
	flags uint8
	trial bool           // of a take: it may be given back
	of    limiter.Window // that a give is for; 0 is any

	left   time.Duration  // for the receiver to answer in: nobody waits for longer
	asker  limiter.Origin // whose request it is; 0 on the wire: the sender's
	number uint64         // of the asker's; 0: whoever counts it does not remember it

	outcome uint8
	d       limiter.Decision
	by      limiter.Origin // who decided; 0: who answers, or has the call
	window  limiter.Window // in which it was counted; on the wire with d

	// Not on the wire.
	node  *Node // that asks
	to    *peer // that is asked, since asked
	asked time.Time
	tally *tally   // of the asker
	late  *belated // where somebody was given up
	uses  uint8
}

const (
	takeFields   = 11
	answerFields = 6
	trialBit     = 1 << 7          // beside the algorithm, the split mode and the flags
	leftMax      = 5 * time.Minute // more than any Config allows
)

// AppendRequest encodes the question.
func (c *takeCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, takeFields)
	b = transport.AppendUint(b, c.id.Hi)
	b = transport.AppendUint(b, c.id.Lo)
	b = transport.AppendInt(b, c.lim.Quota)
	b = transport.AppendInt(b, int64(c.lim.Window))
	b = transport.AppendInt(b, c.lim.Burst)
	bits := uint64(c.lim.Algorithm) | uint64(c.lim.Split)<<2 | uint64(c.flags)<<4
	if c.trial {
		bits |= trialBit
	}
	b = transport.AppendUint(b, bits)
	b = transport.AppendInt(b, c.cost)
	b = transport.AppendInt(b, int64(c.of))
	b = transport.AppendUint(b, uint64(c.left.Microseconds()))
	asker := c.asker
	if c.node != nil && asker == c.node.origin {
		asker = 0
	}
	b = transport.AppendUint(b, uint64(asker))
	return transport.AppendUint(b, c.number)
}

// readRequest decodes the question and checks it as Take checks its arguments.
func (c *takeCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.id.Hi, c.id.Lo = r.Uint(), r.Uint()
	c.lim.Quota, c.lim.Window, c.lim.Burst = r.Int(), time.Duration(r.Int()), r.Int()
	bits := r.Uint()
	c.lim.Algorithm, c.lim.Split, c.flags = limiter.Algorithm(bits&3), limiter.Split(bits>>2&3), uint8(bits>>4&flagsAll)
	c.trial = bits&trialBit != 0
	c.cost, c.of = r.Int(), limiter.Window(r.Int())
	c.left = readLeft(&r)
	c.asker, c.number = limiter.Origin(r.Uint()), r.Uint()
	if err := finish(&r, n, takeFields); err != nil {
		return err
	}
	return limiter.Check("id", c.lim, c.cost)
}

// readLeft reads the time that is left to answer in.
func readLeft(r *transport.Reader) time.Duration {
	return time.Duration(min(r.Uint(), uint64(leftMax.Microseconds()))) * time.Microsecond
}

// appendAnswer encodes the answer.
func (c *takeCall) appendAnswer(b []byte) []byte {
	bits := uint64(c.outcome)
	if c.d.Allowed {
		bits |= 4
	}
	if c.d.Degraded {
		bits |= 8
	}
	if c.d.Tentative {
		bits |= 16
	}
	window := c.d.Window
	if window == 0 {
		window = c.window // for whoever takes it back
	}
	b = transport.AppendArrayLen(b, answerFields)
	b = transport.AppendUint(b, bits)
	b = transport.AppendInt(b, c.d.Remaining)
	b = transport.AppendInt(b, int64(c.d.ResetAfter))
	b = transport.AppendInt(b, int64(c.d.RetryAfter))
	b = transport.AppendInt(b, int64(window))
	return transport.AppendUint(b, uint64(c.by))
}

// ReadAnswer decodes the answer.
func (c *takeCall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	bits := r.Uint()
	c.outcome = uint8(bits & 3)
	c.d = limiter.Decision{Allowed: bits&4 != 0, Degraded: bits&8 != 0, Tentative: bits&16 != 0, Remaining: r.Int(),
		ResetAfter: time.Duration(r.Int()), RetryAfter: time.Duration(r.Int()), Window: limiter.Window(r.Int())}
	c.by = limiter.Origin(r.Uint())
	return finish(&r, n, answerFields)
}

// named keeps the window that an answer names from a caller to whom it means nothing.
func (c *takeCall) named() {
	if c.window = c.d.Window; !c.trial {
		c.d.Window = 0
	}
}

// keepCall says that so much of what was taken on trial is spent. If it is lost, the
// hold ends by itself.
type keepCall struct {
	id   limiter.ID
	cost int64
}

func (c *keepCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 3)
	b = transport.AppendUint(b, c.id.Hi)
	b = transport.AppendUint(b, c.id.Lo)
	return transport.AppendInt(b, c.cost)
}

func (c *keepCall) ReadAnswer([]byte) error { return nil }

func (c *keepCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.id.Hi, c.id.Lo, c.cost = r.Uint(), r.Uint(), r.Int()
	if err := finish(&r, n, 3); err != nil {
		return err
	}
	if c.cost < 1 || c.cost > limiter.MaxQuota {
		return errMessage
	}
	return nil
}

// finish skips what a newer version added, and reports what was malformed.
func finish(r *transport.Reader, n, known int) error {
	for i := known; i < n && r.Err() == nil; i++ {
		r.Skip()
	}
	if n < known || r.Err() != nil || len(r.Rest()) > 0 {
		return errMessage
	}
	return nil
}

// claimCall asks who decides for some partitions. The answer has a name for each:
// the answerer's own if it does, another's if it knows better, or none.
type claimCall struct {
	parts []int
	names []string
}

const claimParts = 128 // partitions in one claim, so that the names fit into a frame

func (c *claimCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.parts))
	for _, p := range c.parts {
		b = transport.AppendUint(b, uint64(p))
	}
	return b
}

func (c *claimCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	for range r.ArrayLen(claimParts) {
		p := r.Uint()
		if p >= limiter.Partitions {
			return fmt.Errorf("%w: partition %d", errMessage, p)
		}
		c.parts = append(c.parts, int(p))
	}
	return finish(&r, n, 1)
}

func (c *claimCall) appendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.names))
	for _, s := range c.names {
		b = transport.AppendString(b, s)
	}
	return b
}

func (c *claimCall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	k := r.ArrayLen(claimParts)
	for range k {
		c.names = append(c.names, r.String())
	}
	if k != len(c.parts) {
		return errMessage
	}
	return finish(&r, n, 1)
}

// timeCall reads a peer's clock.
type timeCall struct {
	age time.Duration // how long the peer has lived
	now int64         // cluster time there
}

func (c *timeCall) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

func (c *timeCall) appendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, 2)
	b = transport.AppendInt(b, int64(c.age))
	return transport.AppendInt(b, c.now)
}

func (c *timeCall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.age, c.now = time.Duration(r.Int()), r.Int()
	return finish(&r, n, 2)
}

// leavingCall says goodbye.
type leavingCall struct{}

func (leavingCall) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }
func (leavingCall) ReadAnswer([]byte) error       { return nil }

// caughtUpCall says that everything due to the receiver has been sent, by the table
// of this fingerprint, before it on the same connection. ask wants the same from the
// receiver, which may have said so before we lost sight of it.
type caughtUpCall struct {
	fingerprint uint64
	ask         bool
}

func (c caughtUpCall) AppendRequest(b []byte) []byte {
	ask := uint64(0)
	if c.ask {
		ask = 1
	}
	b = transport.AppendUint(transport.AppendArrayLen(b, 2), c.fingerprint)
	return transport.AppendUint(b, ask)
}

func (caughtUpCall) ReadAnswer([]byte) error { return nil }

func (c *caughtUpCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.fingerprint = r.Uint()
	c.ask = r.Uint() == 1
	return finish(&r, n, 2)
}
