package wire

import (
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// VouchMost is how many partitions, and how many ids, one call asks about at most.
const VouchMost = 256

// Vouch asks a process up to which version it has counted, since others have sent copies of its
// slots; and has those of some ids sent again, since what others sent was none of its.
type Vouch struct {
	Parts []int
	IDs   []ledger.ID

	Tops []uint64 // one for each of Parts
}

const (
	vouchFields       = 2
	vouchAnswerFields = 1
)

// AppendRequest encodes the question.
func (c *Vouch) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, vouchFields)
	b = transport.AppendArrayLen(b, len(c.Parts))
	for _, part := range c.Parts {
		b = transport.AppendUint(b, uint64(part))
	}
	b = transport.AppendArrayLen(b, 2*len(c.IDs))
	for _, id := range c.IDs {
		b = appendID(b, id)
	}
	return b
}

// ReadRequest decodes the question.
func (c *Vouch) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	for range r.ArrayLen(VouchMost) {
		part, err := readPart(&r)
		if err != nil {
			return err
		}
		c.Parts = append(c.Parts, part)
	}
	halves := r.ArrayLen(2 * VouchMost)
	for range halves / 2 {
		c.IDs = append(c.IDs, readID(&r))
	}
	if halves%2 != 0 {
		return ErrMalformed
	}
	return finish(&r, n, vouchFields)
}

// AppendAnswer encodes the answer.
func (c *Vouch) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, vouchAnswerFields)
	b = transport.AppendArrayLen(b, len(c.Tops))
	for _, top := range c.Tops {
		b = transport.AppendUint(b, top)
	}
	return b
}

// ReadAnswer decodes the answer.
func (c *Vouch) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Tops = nil
	for range r.ArrayLen(VouchMost) {
		c.Tops = append(c.Tops, r.Uint())
	}
	if len(c.Tops) != len(c.Parts) {
		return ErrMalformed
	}
	return finish(&r, n, vouchAnswerFields)
}
