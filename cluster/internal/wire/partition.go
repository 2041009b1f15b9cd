package wire

import (
	"fmt"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// Claim asks who decides for some partitions. The answer has a name for each: the
// answerer's own if it does, another's if it knows better, or none.
type Claim struct {
	Parts []int
	Names []string
}

// ClaimParts is how many partitions one claim asks for at most, so that the names fit into
// a frame.
const ClaimParts = 128

// AppendRequest encodes the question.
func (c *Claim) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.Parts))
	for _, p := range c.Parts {
		b = transport.AppendUint(b, uint64(p))
	}
	return b
}

// ReadRequest decodes the question.
func (c *Claim) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	for range r.ArrayLen(ClaimParts) {
		p, err := readPart(&r)
		if err != nil {
			return err
		}
		c.Parts = append(c.Parts, p)
	}
	return finish(&r, n, 1)
}

// AppendAnswer encodes the answer.
func (c *Claim) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.Names))
	for _, s := range c.Names {
		b = transport.AppendString(b, s)
	}
	return b
}

// ReadAnswer decodes the answer.
func (c *Claim) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	k := r.ArrayLen(ClaimParts)
	for range k {
		c.Names = append(c.Names, r.String())
	}
	if k != len(c.Parts) {
		return ErrMalformed
	}
	return finish(&r, n, 1)
}

// Complete hands a partition over, with the last slots that changed.
type Complete struct {
	Part   int
	Now    int64 // cluster time at the sender
	Slots  []ledger.Slot
	Number uint64 // the sender's later ones have larger numbers; a repeated one keeps its own
	noAnswer
}

const completeFields = 4

// AppendRequest encodes the message.
func (c *Complete) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, completeFields)
	b = transport.AppendUint(b, uint64(c.Part))
	b = transport.AppendInt(b, c.Now)
	b = appendSlots(b, c.Slots)
	return transport.AppendUint(b, c.Number)
}

// ReadRequest decodes the message.
func (c *Complete) ReadRequest(body []byte) (err error) {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	if c.Part, err = readPart(&r); err != nil {
		return err
	}
	c.Now = r.Int()
	for range r.ArrayLen(ShipSlots) {
		s, err := readSlot(&r)
		if err != nil {
			return err
		}
		c.Slots = append(c.Slots, s)
	}
	c.Number = r.Uint()
	return finish(&r, n, completeFields)
}

func readPart(r *transport.Reader) (int, error) {
	p := r.Uint()
	if p >= ledger.Partitions {
		return 0, fmt.Errorf("%w: partition %d", ErrMalformed, p)
	}
	return int(p), nil
}
