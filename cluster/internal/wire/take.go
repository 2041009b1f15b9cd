package wire

import (
	"time"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// Flags of a take.
const (
	Passed   = 1 << iota // passed on by a node: do not pass it on again
	Failover             // the partition's holder did not answer the sender
	Relay                // the sender does not know the holder that the receiver names: pass it on

	FlagsAll = Passed | Failover | Relay
)

// Outcome is what became of a take.
type Outcome uint8

// Outcomes of a take.
const (
	Decided     Outcome = iota
	NotHolder           // who answers does not decide: Term is who does, as far as it knows
	Unreachable         // who decides did not answer the node that was asked
)

// Take is a take or a give.
type Take struct {
	ID    ledger.ID
	Limit limiter.Limit
	Cost  int64
	Flags uint8
	Trial bool           // of a take: it may be given back
	Of    limiter.Window // that a give is for; 0 is any

	Left   time.Duration // for the receiver to answer in: nobody waits for longer
	Asker  ledger.Origin // whose request it is; 0 on the wire: the sender's
	Number uint64        // of the asker's; 0: whoever counts it does not remember it
	Self   ledger.Origin // the sender; not on the wire

	Outcome  Outcome
	Decision limiter.Decision
	By       ledger.Origin  // who decided; 0: who answers, or has the call
	Window   limiter.Window // in which it was counted; on the wire with the decision
	Term     tenure.Term    // the newest, and its holder; of number 0 a guess, of holder 0 nobody
}

const (
	takeFields   = 11
	answerFields = 8
	trialBit     = 1 << 3 // beside the flags
)

// AppendRequest encodes the question.
func (c *Take) AppendRequest(b []byte) []byte {
	bits := uint64(c.Flags)
	if c.Trial {
		bits |= trialBit
	}
	asker := c.Asker
	if asker == c.Self {
		asker = 0
	}
	b = transport.AppendArrayLen(b, takeFields)
	b = appendID(b, c.ID)
	b = appendLimit(b, &c.Limit, bits)
	b = transport.AppendInt(b, c.Cost)
	b = transport.AppendInt(b, int64(c.Of))
	b = transport.AppendUint(b, uint64(c.Left.Microseconds()))
	b = transport.AppendUint(b, uint64(asker))
	return transport.AppendUint(b, c.Number)
}

// ReadRequest decodes the question and checks it as a node's Take checks its arguments.
func (c *Take) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n, bits := r.ArrayLen(fieldsMax), uint64(0)
	c.ID = readID(&r)
	c.Limit, bits = readLimit(&r)
	c.Flags, c.Trial = uint8(bits&FlagsAll), bits&trialBit != 0
	c.Cost, c.Of = r.Int(), limiter.Window(r.Int())
	c.Left = readLeft(&r)
	c.Asker, c.Number = ledger.Origin(r.Uint()), r.Uint()
	if err := finish(&r, n, takeFields); err != nil {
		return err
	}
	return limiter.Check("id", c.Limit, c.Cost)
}

// AppendAnswer encodes the answer.
func (c *Take) AppendAnswer(b []byte) []byte {
	d := &c.Decision
	bits := uint64(c.Outcome) | bit(d.Allowed)<<2 | bit(d.Degraded)<<3 | bit(d.Tentative)<<4
	window := d.Window
	if window == 0 {
		window = c.Window // for whoever takes it back
	}
	b = transport.AppendArrayLen(b, answerFields)
	b = transport.AppendUint(b, bits)
	b = transport.AppendInt(b, d.Remaining)
	b = transport.AppendInt(b, int64(d.ResetAfter))
	b = transport.AppendInt(b, int64(d.RetryAfter))
	b = transport.AppendInt(b, int64(window))
	return appendTerm(transport.AppendUint(b, uint64(c.By)), c.Term)
}

// ReadAnswer decodes the answer.
func (c *Take) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	bits := r.Uint()
	c.Outcome = Outcome(bits & 3)
	c.Decision = limiter.Decision{Allowed: bits&4 != 0, Degraded: bits&8 != 0, Tentative: bits&16 != 0, Remaining: r.Int(),
		ResetAfter: time.Duration(r.Int()), RetryAfter: time.Duration(r.Int()), Window: limiter.Window(r.Int())}
	c.By, c.Term = ledger.Origin(r.Uint()), readTerm(&r)
	return finish(&r, n, answerFields)
}

// Keep says that so much of what was taken on trial is spent. If it is lost, the hold ends
// by itself.
type Keep struct {
	ID   ledger.ID
	Cost int64
	noAnswer
}

const keepFields = 3

// AppendRequest encodes the message.
func (c *Keep) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, keepFields)
	return transport.AppendInt(appendID(b, c.ID), c.Cost)
}

// ReadRequest decodes the message.
func (c *Keep) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.ID, c.Cost = readID(&r), r.Int()
	if err := finish(&r, n, keepFields); err != nil {
		return err
	}
	if c.Cost < 1 || c.Cost > limiter.MaxQuota {
		return ErrMalformed
	}
	return nil
}
