package wire

import (
	"time"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// Lease asks for a slice of a budget. The number of an ask makes it one that may be
// repeated: the answer is the same slice.
type Lease struct {
	ID     ledger.ID
	Limit  limiter.Limit
	Want   int64
	Number uint64 // of the ask, by the asker

	Slice      int64         // how much is handed out, perhaps nothing
	ResetAfter time.Duration // as in a limiter.Decision
}

const (
	leaseFields       = 8
	leaseAnswerFields = 2
)

// AppendRequest encodes the question.
func (c *Lease) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, leaseFields)
	b = appendID(b, c.ID)
	b = appendLimit(b, &c.Limit, 0)
	b = transport.AppendInt(b, c.Want)
	return transport.AppendUint(b, c.Number)
}

// ReadRequest decodes the question.
func (c *Lease) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.ID = readID(&r)
	c.Limit, _ = readLimit(&r)
	c.Want, c.Number = r.Int(), r.Uint()
	if err := finish(&r, n, leaseFields); err != nil {
		return err
	}
	if c.Want < 0 {
		return ErrMalformed
	}
	return limiter.Check("id", c.Limit, 0)
}

// AppendAnswer encodes the answer.
func (c *Lease) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, leaseAnswerFields)
	b = transport.AppendInt(b, c.Slice)
	return transport.AppendInt(b, int64(c.ResetAfter))
}

// ReadAnswer decodes the answer.
func (c *Lease) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Slice, c.ResetAfter = r.Int(), time.Duration(r.Int())
	if c.Slice < 0 || c.Slice > limiter.MaxQuota {
		return ErrMalformed
	}
	return finish(&r, n, leaseAnswerFields)
}

// Forget says that a budget was reset: what was denied before means nothing any more.
type Forget struct {
	ID ledger.ID
	noAnswer
}

const forgetFields = 2

// AppendRequest encodes the message.
func (c *Forget) AppendRequest(b []byte) []byte {
	return appendID(transport.AppendArrayLen(b, forgetFields), c.ID)
}

// ReadRequest decodes the message.
func (c *Forget) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.ID = readID(&r)
	return finish(&r, n, forgetFields)
}

// Recall takes back what is left of a lease.
type Recall struct {
	ID     ledger.ID
	Number uint64        // of the ask by which the last slice was handed out
	Wait   time.Duration // for what is on its way to the lessee: nobody waits for longer

	Left int64
	Lost bool // that slice has not arrived, and never will
}

const (
	recallFields       = 4
	recallAnswerFields = 2
)

// AppendRequest encodes the question.
func (c *Recall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, recallFields)
	b = appendID(b, c.ID)
	b = transport.AppendUint(b, c.Number)
	return transport.AppendUint(b, uint64(c.Wait.Microseconds()))
}

// ReadRequest decodes the question.
func (c *Recall) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.ID, c.Number = readID(&r), r.Uint()
	c.Wait = readLeft(&r)
	return finish(&r, n, recallFields)
}

// AppendAnswer encodes the answer.
func (c *Recall) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, recallAnswerFields)
	b = transport.AppendInt(b, c.Left)
	return transport.AppendUint(b, bit(c.Lost))
}

// ReadAnswer decodes the answer.
func (c *Recall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Left, c.Lost = r.Int(), r.Uint() == 1
	if c.Left < 0 || c.Left > limiter.MaxQuota {
		return ErrMalformed
	}
	return finish(&r, n, recallAnswerFields)
}
