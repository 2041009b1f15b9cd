package wire

import (
	"math"
	"time"

	"github.com/weir-go/weir/transport"
)

// Time reads a peer's clock.
type Time struct {
	Age time.Duration // how long the peer has lived
	Now int64         // cluster time there

	Wall  time.Duration // what its wall clock is ahead of that
	Agree time.Duration // what the wall clock that all agree on is ahead, as far as it knows

	Far   time.Duration // the longest round trip from there to a peer
	Begun bool          // the peer's start is over

	Parting Parting
}

// Parting is what a node says of whether it leaves.
type Parting uint8

// What it says.
const (
	Untold Parting = iota // it is of a version that does not say so
	Stays
	Leaves
)

const (
	timeFields = 6
	timeMore   = 1 // field that earlier versions do not have
)

// AppendRequest encodes the question.
func (c *Time) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

// ReadRequest decodes the question.
func (c *Time) ReadRequest(body []byte) error { return readEmpty(body) }

// AppendAnswer encodes the answer.
func (c *Time) AppendAnswer(b []byte) []byte {
	more := c.Parting != Untold
	if more {
		b = transport.AppendArrayLen(b, timeFields+timeMore)
	} else {
		b = transport.AppendArrayLen(b, timeFields)
	}
	b = transport.AppendInt(b, int64(c.Age))
	b = transport.AppendInt(b, c.Now)
	b = transport.AppendInt(transport.AppendInt(b, int64(c.Wall)), int64(c.Agree))
	b = transport.AppendUint(transport.AppendInt(b, int64(c.Far)), bit(c.Begun))
	if more {
		b = transport.AppendUint(b, uint64(c.Parting))
	}
	return b
}

// ReadAnswer decodes the answer.
func (c *Time) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n, read := r.ArrayLen(fieldsMax), timeFields
	c.Age, c.Now = time.Duration(r.Int()), r.Int()
	c.Wall, c.Agree = time.Duration(r.Int()), time.Duration(r.Int())
	c.Far, c.Begun = time.Duration(r.Int()), r.Uint() == 1
	if n >= timeFields+timeMore && small(&r) {
		read += timeMore
		if c.Parting = Parting(r.Uint()); c.Parting > Leaves {
			return ErrMalformed
		}
	}
	if r.Err() == nil && !c.plausible() {
		return ErrMalformed
	}
	return finish(&r, n, read)
}

// No process lives for a century, and no clock is further from any other.
const timeMost = 100 * 365 * 24 * time.Hour

// plausible says whether a clock can say that: its differences fit into what they are kept in.
func (c *Time) plausible() bool {
	return c.Age.Abs() < timeMost && c.Now >= 0 && c.Now < math.MaxInt64/2 &&
		c.Wall.Abs() < timeMost && c.Agree.Abs() < timeMost && c.Far >= 0
}

// Leaving says goodbye.
type Leaving struct{ noAnswer }

// AppendRequest encodes the message.
func (*Leaving) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

// ReadRequest decodes the message.
func (*Leaving) ReadRequest(body []byte) error { return readEmpty(body) }

func readEmpty(body []byte) error {
	r := transport.NewReader(body)
	return finish(&r, r.ArrayLen(fieldsMax), 0)
}

// CaughtUp says that everything due to the receiver has been sent, by the table of this
// fingerprint, before it on the same connection. Ask wants the same from the receiver, which
// may have said so before the sender lost sight of it.
type CaughtUp struct {
	Fingerprint uint64
	Ask         bool
	noAnswer
}

const caughtUpFields = 2

// AppendRequest encodes the message.
func (c *CaughtUp) AppendRequest(b []byte) []byte {
	b = transport.AppendUint(transport.AppendArrayLen(b, caughtUpFields), c.Fingerprint)
	return transport.AppendUint(b, bit(c.Ask))
}

// ReadRequest decodes the message.
func (c *CaughtUp) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Fingerprint, c.Ask = r.Uint(), r.Uint() == 1
	return finish(&r, n, caughtUpFields)
}
