package wire

import (
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// Undone names a take that is to be taken back.
type Undone struct {
	ID     ledger.ID
	Limit  limiter.Limit
	Cost   int64
	Asker  ledger.Origin  // whose request it was; 0 on the wire: the sender's
	Number uint64         // of the request
	Window limiter.Window // in which it was counted
	Relay  bool           // the sender is not the asker, and another node may rely on it
}

// Undo takes back takes whose answers came too late.
type Undo struct {
	Self ledger.Origin // the sender; not on the wire
	List []Undone

	Done int // how many were taken back
}

// UndoMost is how many takes one call takes back at most.
const UndoMost = 256

const undoneFields = 10

// AppendRequest encodes the question.
func (c *Undo) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.List))
	for i := range c.List {
		u := &c.List[i]
		asker := u.Asker
		if asker == c.Self {
			asker = 0
		}
		b = transport.AppendArrayLen(b, undoneFields)
		b = appendID(b, u.ID)
		b = appendLimit(b, &u.Limit, bit(u.Relay))
		b = transport.AppendInt(b, u.Cost)
		b = transport.AppendUint(transport.AppendUint(b, uint64(asker)), u.Number)
		b = transport.AppendInt(b, int64(u.Window))
	}
	return b
}

// ReadRequest decodes the question.
func (c *Undo) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	for range r.ArrayLen(UndoMost) {
		u, k := Undone{}, r.ArrayLen(fieldsMax)
		u.ID = readID(&r)
		var bits uint64
		u.Limit, bits = readLimit(&r)
		u.Relay = bits&1 == 1
		u.Cost, u.Asker, u.Number, u.Window = r.Int(), ledger.Origin(r.Uint()), r.Uint(), limiter.Window(r.Int())
		for ; k > undoneFields && r.Err() == nil; k-- {
			r.Skip()
		}
		if k < undoneFields || r.Err() != nil {
			return ErrMalformed
		}
		if err := limiter.Check("id", u.Limit, u.Cost); err != nil {
			return err
		}
		c.List = append(c.List, u)
	}
	return finish(&r, n, 1)
}

// AppendAnswer encodes the answer.
func (c *Undo) AppendAnswer(b []byte) []byte {
	return transport.AppendUint(transport.AppendArrayLen(b, 1), uint64(c.Done))
}

// ReadAnswer decodes the answer.
func (c *Undo) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	done := r.Uint()
	if done > uint64(len(c.List)) {
		return ErrMalformed
	}
	c.Done = int(done)
	return finish(&r, n, 1)
}
