package wire

import (
	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/transport"
)

// Hello is how nodes introduce themselves on a connection, each to the other: not a call,
// but what comes before any.
type Hello struct {
	Name, Addr string
	Origin     ledger.Origin
	Scheme     string   // of the ring: nodes whose schemes differ refuse each other
	Taken      string   // in an answer: the address of another living node that has the asker's name
	Voters     []uint64 // marks of the voters' names
	IDs        uint64   // which ids keys have: nodes that differ refuse each other; 0: not told
	Weir       string   // the sender's semantic version, for people; "": not told
}

const (
	helloFields    = 8
	helloFieldsMin = 4 // of earlier versions
	weirMax        = 64
)

// Encode encodes an introduction.
func (h Hello) Encode() []byte {
	b := transport.AppendArrayLen(nil, helloFields)
	b = transport.AppendString(b, h.Scheme)
	b = transport.AppendString(b, h.Name)
	b = transport.AppendString(b, h.Addr)
	b = transport.AppendUint(b, uint64(h.Origin))
	b = transport.AppendString(b, h.Taken)
	b = transport.AppendArrayLen(b, len(h.Voters))
	for _, mark := range h.Voters {
		b = transport.AppendUint(b, mark)
	}
	return transport.AppendString(transport.AppendUint(b, h.IDs), h.Weir)
}

// ReadHello decodes one. How long its strings are, transport.MaxHello bounds.
func ReadHello(b []byte) (h Hello, err error) {
	if len(b) > transport.MaxHello {
		return h, ErrMalformed
	}
	r := transport.NewReader(b)
	n := r.ArrayLen(fieldsMax)
	h.Scheme, h.Name, h.Addr, h.Origin = r.String(), r.String(), r.String(), ledger.Origin(r.Uint())
	known := helloFieldsMin
	if n > known {
		h.Taken = r.String()
		known++
	}
	if n > known {
		for range r.ArrayLen(VotersMax) {
			h.Voters = append(h.Voters, r.Uint())
		}
		known++
	}
	if n > known {
		h.IDs = r.Uint()
		known++
	}
	if n > known {
		h.Weir = r.String()
		known++
	}
	if len(h.Weir) > weirMax {
		h.Weir = ""
	}
	return h, finish(&r, n, known)
}
