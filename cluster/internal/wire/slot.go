package wire

import (
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// ShipSlots is how many slots one message carries at most.
const ShipSlots = 256

const (
	slotFields = 9
	slotMore   = 2   // fields of a bucket's slot that knows others, or was counted under a share
	slotMax    = 230 // bytes of an encoded slot, at most
)

func appendSlots(b []byte, slots []ledger.Slot) []byte {
	b = transport.AppendArrayLen(b, len(slots))
	for i := range slots {
		b = appendSlot(b, &slots[i])
	}
	return b
}

func appendSlot(b []byte, s *ledger.Slot) []byte {
	more := len(s.Knows) > 0 || s.Paced != 0
	if more {
		b = transport.AppendArrayLen(b, slotFields+slotMore)
	} else {
		b = transport.AppendArrayLen(b, slotFields)
	}
	b = appendID(b, s.ID)
	b = transport.AppendUint(b, uint64(s.Origin))
	b = transport.AppendInt(b, s.At)
	b = transport.AppendInt(b, int64(s.Cur))
	b = transport.AppendInt(b, int64(s.Prev))
	b = transport.AppendUint(b, s.Version)
	b = transport.AppendUint(b, uint64(s.Expires))
	b = transport.AppendUint(b, uint64(s.Fill))
	if !more {
		return b
	}
	b = transport.AppendArrayLen(b, 2*len(s.Knows)) // origin, version, origin, version
	for _, k := range s.Knows {
		b = transport.AppendUint(b, uint64(k.Origin))
		b = transport.AppendUint(b, k.Version)
	}
	return transport.AppendInt(b, s.Paced)
}

func readSlot(r *transport.Reader) (s ledger.Slot, err error) {
	n := r.ArrayLen(fieldsMax)
	s.ID, s.Origin = readID(r), ledger.Origin(r.Uint())
	s.At = r.Int()
	cur, prev := r.Int(), r.Int()
	s.Cur, s.Prev = int32(cur), int32(prev)
	s.Version = r.Uint()
	expires, fill := r.Uint(), r.Uint()
	s.Expires, s.Fill = uint32(expires), uint8(fill)
	read := slotFields
	if n >= slotFields+slotMore {
		read += slotMore
		known := r.ArrayLen(2 * ledger.KnownMost)
		for range known / 2 {
			s.Knows = append(s.Knows, ledger.Known{Origin: ledger.Origin(r.Uint()), Version: r.Uint()})
		}
		if s.Paced = r.Int(); known%2 != 0 {
			return s, ErrMalformed
		}
	}
	for i := read; i < n && r.Err() == nil; i++ {
		r.Skip()
	}
	if n < slotFields || r.Err() != nil || int64(s.Cur) != cur || int64(s.Prev) != prev || uint64(s.Expires) != expires || fill > 255 {
		return s, ErrMalformed
	}
	return s, nil
}

// Ship carries copies of slots. The fingerprint is that of the sender's table. What slots
// say of windows is meant in cluster time; Now is what the sender takes that to be.
type Ship struct {
	Fingerprint uint64
	Now         int64
	Slots       []ledger.Slot
	noAnswer

	// Begin and Each are for a reader that stores none of it here: Begin is called when the
	// first two fields are known, and ends the reading by an error; Each gets each slot.
	Begin func() error
	Each  func(s ledger.Slot)
}

const shipFields = 3

// AppendRequest encodes the message.
func (c *Ship) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, shipFields)
	b = transport.AppendUint(b, c.Fingerprint)
	b = transport.AppendInt(b, c.Now)
	return appendSlots(b, c.Slots)
}

// ReadRequest decodes the message. What comes before something malformed has been read.
func (c *Ship) ReadRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(fieldsMax)
	if c.Fingerprint, c.Now = r.Uint(), r.Int(); r.Err() != nil {
		return ErrMalformed
	}
	if c.Begin != nil {
		if err := c.Begin(); err != nil {
			return err
		}
	}
	for range r.ArrayLen(ShipSlots) {
		s, err := readSlot(&r)
		if err != nil {
			return err
		}
		if c.Each != nil {
			c.Each(s)
		} else {
			c.Slots = append(c.Slots, s)
		}
	}
	return finish(&r, n, shipFields)
}
