package cluster

import (
	"time"

	"github.com/weir-go/weir/limiter"
	"github.com/weir-go/weir/transport"
)

// The messages about leases. The number of an ask makes it one that may be repeated:
// the answer is the same slice.

// leaseCall asks for a slice of a budget.
type leaseCall struct {
	id     limiter.ID
	lim    limiter.Limit
	want   int64
	number uint64 // of the ask, by the asker

	slice      int64         // how much is handed out, perhaps nothing
	resetAfter time.Duration // as in a limiter.Decision
}

const leaseFields = 8

func (c *leaseCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, leaseFields)
	b = transport.AppendUint(b, c.id.Hi)
	b = transport.AppendUint(b, c.id.Lo)
	b = transport.AppendInt(b, c.lim.Quota)
	b = transport.AppendInt(b, int64(c.lim.Window))
	b = transport.AppendInt(b, c.lim.Burst)
	b = transport.AppendUint(b, uint64(c.lim.Algorithm)|uint64(c.lim.Split)<<2)
	b = transport.AppendInt(b, c.want)
	return transport.AppendUint(b, c.number)
}

func (c *leaseCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.id.Hi, c.id.Lo = r.Uint(), r.Uint()
	c.lim.Quota, c.lim.Window, c.lim.Burst = r.Int(), time.Duration(r.Int()), r.Int()
	bits := r.Uint()
	c.lim.Algorithm, c.lim.Split = limiter.Algorithm(bits&3), limiter.Split(bits>>2&3)
	c.want, c.number = r.Int(), r.Uint()
	if err := finish(&r, n, leaseFields); err != nil {
		return err
	}
	if c.want < 0 {
		return errMessage
	}
	return limiter.Check("id", c.lim, 0)
}

func (c *leaseCall) appendAnswer(b []byte) []byte {
	b = transport.AppendArrayLen(b, 2)
	b = transport.AppendInt(b, c.slice)
	return transport.AppendInt(b, int64(c.resetAfter))
}

func (c *leaseCall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.slice, c.resetAfter = r.Int(), time.Duration(r.Int())
	if c.slice < 0 || c.slice > limiter.MaxQuota {
		return errMessage
	}
	return finish(&r, n, 2)
}

// recallCall takes back what is left of a lease.
type recallCall struct {
	id     limiter.ID
	number uint64        // of the ask by which the last slice was handed out
	wait   time.Duration // for what is on its way to the lessee: nobody waits for longer

	left int64
	lost bool // that slice has not arrived, and never will
}

func (c *recallCall) AppendRequest(b []byte) []byte {
	b = transport.AppendArrayLen(b, 4)
	b = transport.AppendUint(b, c.id.Hi)
	b = transport.AppendUint(b, c.id.Lo)
	b = transport.AppendUint(b, c.number)
	return transport.AppendUint(b, uint64(c.wait.Microseconds()))
}

func (c *recallCall) readRequest(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.id.Hi, c.id.Lo, c.number = r.Uint(), r.Uint(), r.Uint()
	c.wait = readLeft(&r)
	return finish(&r, n, 4)
}

func (c *recallCall) appendAnswer(b []byte) []byte {
	lost := uint64(0)
	if c.lost {
		lost = 1
	}
	b = transport.AppendArrayLen(b, 2)
	b = transport.AppendInt(b, c.left)
	return transport.AppendUint(b, lost)
}

func (c *recallCall) ReadAnswer(body []byte) error {
	r := transport.NewReader(body)
	n := r.ArrayLen(64)
	c.left, c.lost = r.Int(), r.Uint() == 1
	if c.left < 0 || c.left > limiter.MaxQuota {
		return errMessage
	}
	return finish(&r, n, 2)
}
