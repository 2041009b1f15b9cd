package wire

import (
	"fmt"

	"github.com/weir-go/weir/cluster/internal/tenure"
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// Claim asks who decides for some partitions.
type Claim struct {
	Table   uint64 // fingerprint of the asker's
	Parts   []Asked
	Answers []tenure.Answer // one for each of Parts
}

// Asked is a partition, and what who asks for it knows.
type Asked struct {
	Part  int
	Known tenure.Term
	Held  tenure.Term // by which it held, if it must find out whether it still does
	Top   uint64
}

const (
	// ClaimParts is how many partitions one claim asks for at most.
	ClaimParts = 128

	claimFields   = 2
	askedFields   = 6
	answerOfClaim = 6
)

// AppendRequest encodes the question.
func (c *Claim) AppendRequest(b []byte) []byte {
	b = transport.AppendUint(transport.AppendArrayLen(b, claimFields), c.Table)
	b = transport.AppendArrayLen(b, len(c.Parts))
	for _, p := range c.Parts {
		b = transport.AppendArrayLen(b, askedFields)
		b = transport.AppendUint(b, uint64(p.Part))
		b = appendTerm(appendTerm(b, p.Known), p.Held)
		b = transport.AppendUint(b, p.Top)
	}
	return b
}

// ReadRequest decodes the question.
func (c *Claim) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Table = r.Uint()
	for range r.ArrayLen(ClaimParts) {
		k, p := r.ArrayLen(fieldsMax), Asked{}
		var err error
		if p.Part, err = readPart(&r); err != nil {
			return err
		}
		p.Known, p.Held, p.Top = readTerm(&r), readTerm(&r), readNumber(&r)
		if err := skip(&r, k, askedFields); err != nil {
			return err
		}
		c.Parts = append(c.Parts, p)
	}
	return finish(&r, n, claimFields)
}

// AppendAnswer encodes the answer.
func (c *Claim) AppendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.Answers))
	for _, a := range c.Answers {
		b = transport.AppendArrayLen(b, answerOfClaim)
		b = transport.AppendUint(b, uint64(a.Word))
		b = appendTerm(appendTerm(b, a.Held), a.Known)
		b = transport.AppendUint(b, a.Top)
	}
	return b
}

// ReadAnswer decodes the answer.
func (c *Claim) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	k := r.ArrayLen(ClaimParts)
	for range k {
		fields, word := r.ArrayLen(fieldsMax), r.Uint()
		if word > uint64(tenure.WordMax) {
			return ErrMalformed
		}
		a := tenure.Answer{Word: tenure.Word(word), Held: readTerm(&r), Known: readTerm(&r), Top: readNumber(&r)}
		if err := skip(&r, fields, answerOfClaim); err != nil {
			return err
		}
		c.Answers = append(c.Answers, a)
	}
	if k != len(c.Parts) {
		return ErrMalformed
	}
	return finish(&r, n, 1)
}

func appendTerm(b []byte, t tenure.Term) []byte {
	return transport.AppendUint(transport.AppendUint(b, t.Number), uint64(t.Holder))
}

func readTerm(r *transport.Reader) tenure.Term {
	return tenure.Term{Number: readNumber(r), Holder: tenure.Process(r.Uint())}
}

// readNumber reads a term's number. None is so large that it could not grow any more.
func readNumber(r *transport.Reader) uint64 { return min(r.Uint(), tenure.MaxNumber) }

// Table asks for the fingerprint of a node's table.
type Table struct{ Fingerprint uint64 }

const tableFields = 1

// AppendRequest encodes the question.
func (c *Table) AppendRequest(b []byte) []byte { return transport.AppendArrayLen(b, 0) }

// ReadRequest decodes the question.
func (c *Table) ReadRequest(body []byte) error { return readEmpty(body) }

// AppendAnswer encodes the answer.
func (c *Table) AppendAnswer(b []byte) []byte {
	return transport.AppendUint(transport.AppendArrayLen(b, tableFields), c.Fingerprint)
}

// ReadAnswer decodes the answer.
func (c *Table) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	c.Fingerprint = r.Uint()
	return finish(&r, n, tableFields)
}

// Complete hands a partition over, with the last slots that changed.
type Complete struct {
	Part  int
	Now   int64 // cluster time at the sender
	Slots []ledger.Slot
	Term  tenure.Term // that begins; a repeated one keeps its own
	Final bool        // the sender decides again if it is refused; not of earlier versions
	noAnswer
}

const (
	completeFields = 5
	completeMore   = 1 // field that earlier versions do not have
)

// AppendRequest encodes the message.
func (c *Complete) AppendRequest(b []byte) []byte {
	if c.Final {
		b = transport.AppendArrayLen(b, completeFields+completeMore)
	} else {
		b = transport.AppendArrayLen(b, completeFields)
	}
	b = transport.AppendUint(b, uint64(c.Part))
	b = transport.AppendInt(b, c.Now)
	b = appendSlots(b, c.Slots)
	if b = appendTerm(b, c.Term); c.Final {
		b = transport.AppendUint(b, 1)
	}
	return b
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
	c.Term = readTerm(&r)
	read := completeFields
	if n >= completeFields+completeMore && small(&r) {
		read += completeMore
		c.Final = r.Uint() == 1
	}
	return finish(&r, n, read)
}

func readPart(r *transport.Reader) (int, error) {
	p := r.Uint()
	if p >= ledger.Partitions {
		return 0, fmt.Errorf("%w: partition %d", ErrMalformed, p)
	}
	return int(p), nil
}
