package cluster

import (
	"fmt"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// The messages that carry slots.

const (
	slotFields = 9
	slotMore   = 2   // fields of a bucket's slot that knows others, or was counted under a share
	slotMax    = 230 // bytes of an encoded slot, at most
	shipSlots  = 256
)

func appendSlot(b []byte, s *limiter.Slot) []byte {
	more := len(s.Knows) > 0 || s.Paced != 0
	if more {
		b = transport.AppendArrayLen(b, slotFields+slotMore)
	} else {
		b = transport.AppendArrayLen(b, slotFields)
	}
	b = transport.AppendUint(b, s.ID.Hi)
	b = transport.AppendUint(b, s.ID.Lo)
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

func readSlot(r *transport.Reader) (s limiter.Slot, err error) {
	n := r.ArrayLen(64)
	s.ID.Hi, s.ID.Lo, s.Origin = r.Uint(), r.Uint(), limiter.Origin(r.Uint())
	s.At = r.Int()
	cur, prev := r.Int(), r.Int()
	s.Cur, s.Prev = int32(cur), int32(prev)
	s.Version = r.Uint()
	expires, fill := r.Uint(), r.Uint()
	s.Expires, s.Fill = uint32(expires), uint8(fill)
	read := slotFields
	if n >= slotFields+slotMore {
		read += slotMore
		known := r.ArrayLen(2 * limiter.KnownMost)
		for range known / 2 {
			s.Knows = append(s.Knows, limiter.Known{Origin: limiter.Origin(r.Uint()), Version: r.Uint()})
		}
		if s.Paced = r.Int(); known%2 != 0 {
			return s, errMessage
		}
	}
	for i := read; i < n && r.Err() == nil; i++ {
		r.Skip()
	}
	if n < slotFields || r.Err() != nil || int64(s.Cur) != cur || int64(s.Prev) != prev || uint64(s.Expires) != expires || fill > 255 {
		return s, errMessage
	}
	return s, nil
}

// shipCall carries copies of slots. The fingerprint is that of the sender's table:
// where it is also the receiver's, the sender has told all who should know. What slots
// say of windows is meant in cluster time; now is what the sender takes that to be.
type shipCall struct {
	fingerprint uint64
	now         int64
	slots       []limiter.Slot

	ahead int64 // cluster time less the sender's own, by which the slots were moved; stays here
}

func (c *shipCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 3)
	b = transport.AppendUint(b, c.fingerprint)
	b = transport.AppendInt(b, c.now)
	b = transport.AppendArrayLen(b, len(c.slots))
	for i := range c.slots {
		b = appendSlot(b, &c.slots[i])
	}
	return b
}

func (c *shipCall) ReadAnswer([]byte) error { return nil }

// readShip calls begin with what a shipCall says of its sender, and f with each slot,
// until one is malformed or begin returns an error.
func readShip(body []byte, begin func(fingerprint uint64, now int64) error, f func(s limiter.Slot)) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	fingerprint, now := r.Uint(), r.Int()
	if r.Err() != nil {
		return errMessage
	}
	if err := begin(fingerprint, now); err != nil {
		return err
	}
	for range r.ArrayLen(shipSlots) {
		s, err := readSlot(&r)
		if err != nil {
			return err
		}
		f(s)
	}
	return finish(&r, n, 3)
}

// completeCall hands a partition over, with the last slots that changed.
type completeCall struct {
	part   int
	now    int64 // cluster time at the sender
	slots  []limiter.Slot
	number uint64 // the sender's later ones have larger numbers; a repeated one keeps its own
}

const completeFields = 4

func (c *completeCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, completeFields)
	b = transport.AppendUint(b, uint64(c.part))
	b = transport.AppendInt(b, c.now)
	b = transport.AppendArrayLen(b, len(c.slots))
	for i := range c.slots {
		b = appendSlot(b, &c.slots[i])
	}
	return transport.AppendUint(b, c.number)
}

func (c *completeCall) ReadAnswer([]byte) error { return nil }

func (c *completeCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	p := r.Uint()
	if p >= limiter.Partitions {
		return fmt.Errorf("%w: partition %d", errMessage, p)
	}
	c.part, c.now = int(p), r.Int()
	for range r.ArrayLen(shipSlots) {
		s, err := readSlot(&r)
		if err != nil {
			return err
		}
		c.slots = append(c.slots, s)
	}
	c.number = r.Uint()
	return finish(&r, n, completeFields)
}
