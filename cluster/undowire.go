package cluster

import (
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// undo names a take that is to be taken back.
type undo struct {
	id     limiter.ID
	lim    limiter.Limit
	cost   int64
	asker  limiter.Origin // whose request it was; 0 on the wire: the sender's
	number uint64         // of the request
	window limiter.Window // in which it was counted
	relay  bool           // the sender is not the asker, and another node may rely on it
}

// undoCall takes back takes whose answers came too late.
type undoCall struct {
	self limiter.Origin // the sender; not on the wire
	list []undo

	done int // how many were taken back
}

const undoFields = 10

func (c *undoCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 1)
	b = transport.AppendArrayLen(b, len(c.list))
	for i := range c.list {
		u := &c.list[i]
		asker, relay := u.asker, uint64(0)
		if asker == c.self {
			asker = 0
		}
		if u.relay {
			relay = 1
		}
		b = transport.AppendArrayLen(b, undoFields)
		b = transport.AppendUint(b, u.id.Hi)
		b = transport.AppendUint(b, u.id.Lo)
		b = transport.AppendInt(b, u.lim.Quota)
		b = transport.AppendInt(b, int64(u.lim.Window))
		b = transport.AppendInt(b, u.lim.Burst)
		b = transport.AppendUint(b, uint64(u.lim.Algorithm)|uint64(u.lim.Split)<<2|relay<<4)
		b = transport.AppendInt(b, u.cost)
		b = transport.AppendUint(transport.AppendUint(b, uint64(asker)), u.number)
		b = transport.AppendInt(b, int64(u.window))
	}
	return b
}

func (c *undoCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	for range r.ArrayLen(undosFrame) {
		u, k := undo{}, r.ArrayLen(64)
		u.id.Hi, u.id.Lo = r.Uint(), r.Uint()
		u.lim.Quota, u.lim.Window, u.lim.Burst = r.Int(), time.Duration(r.Int()), r.Int()
		bits := r.Uint()
		u.lim.Algorithm, u.lim.Split, u.relay = limiter.Algorithm(bits&3), limiter.Split(bits>>2&3), bits>>4&1 == 1
		u.cost, u.asker, u.number, u.window = r.Int(), limiter.Origin(r.Uint()), r.Uint(), limiter.Window(r.Int())
		for ; k > undoFields && r.Err() == nil; k-- {
			r.Skip()
		}
		if k < undoFields || r.Err() != nil {
			return errMessage
		}
		if err := limiter.Check("id", u.lim, u.cost); err != nil {
			return err
		}
		c.list = append(c.list, u)
	}
	return finish(&r, n, 1)
}

func (c *undoCall) appendAnswer(b []byte) []byte {
	return transport.AppendUint(transport.AppendArrayLen(b, 1), uint64(c.done))
}

func (c *undoCall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	done := r.Uint()
	if done > uint64(len(c.list)) {
		return errMessage
	}
	c.done = int(done)
	return finish(&r, n, 1)
}
