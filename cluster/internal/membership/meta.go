package membership

import (
	"errors"
	"fmt"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// Version is that of gossip's messages, the major part of the wire's: nodes of another one are refused.
const Version = 1

const (
	metaFields    = 5
	metaFieldsMin = 4 // of earlier versions
	schemeMax     = 128
	versionMax    = 64
)

// Meta is what a node tells about itself by gossip.
type Meta struct {
	Origin  ledger.Origin
	Leaving bool
	Weir    string // the semantic version of its code; "" where it does not tell
}

// Encode writes it, with what two nodes must have in common.
func (m Meta) Encode() []byte {
	b := transport.AppendArrayLen(nil, metaFields)
	b = transport.AppendUint(b, Version)
	b = transport.AppendString(b, ring.Scheme)
	b = transport.AppendUint(b, uint64(m.Origin))
	return transport.AppendString(transport.AppendBool(b, m.Leaving), m.Weir)
}

// ReadMeta refuses nodes that place partitions otherwise or speak otherwise.
func ReadMeta(b []byte) (m Meta, err error) {
	r := transport.NewReader(b)
	n := r.ArrayLen(16)
	version := r.Uint()
	if r.Err() == nil && version != Version {
		return m, fmt.Errorf("run versions of one wire, see docs/upgrading.md: its gossip is of version %d, ours is %d", version, Version)
	}
	scheme := r.String()
	m.Origin, m.Leaving = ledger.Origin(r.Uint()), r.Bool()
	known := metaFieldsMin
	if n > known {
		m.Weir = r.String()
		known++
	}
	if len(m.Weir) > versionMax {
		m.Weir = "" // it is for people alone, and no reason to refuse a node
	}
	for i := known; i < n && r.Err() == nil; i++ {
		r.Skip()
	}
	if n < known || r.Err() != nil || len(r.Rest()) > 0 {
		return m, errors.New("its metadata is not weir's")
	}
	if scheme != ring.Scheme {
		return m, fmt.Errorf("run versions of one ring scheme, see docs/upgrading.md: that of its weir %q is %.*q, ours is %q", m.Weir, schemeMax, scheme, ring.Scheme)
	}
	return m, nil
}
