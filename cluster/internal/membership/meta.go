package membership

import (
	"errors"
	"fmt"

	"github.com/weir-go/weir/internal/ledger"
	"github.com/weir-go/weir/ring"
	"github.com/weir-go/weir/transport"
)

// Version is that of the wire: nodes of another one are refused.
const Version = 1

const (
	metaFields = 4
	schemeMax  = 128
)

// Meta is what a node tells about itself by gossip.
type Meta struct {
	Origin  ledger.Origin
	Leaving bool
}

// Encode writes it, with what two nodes must have in common.
func (m Meta) Encode() []byte {
	b := transport.AppendArrayLen(nil, metaFields)
	b = transport.AppendUint(b, Version)
	b = transport.AppendString(b, ring.Scheme)
	b = transport.AppendUint(b, uint64(m.Origin))
	return transport.AppendBool(b, m.Leaving)
}

// ReadMeta refuses nodes that place partitions otherwise or speak otherwise.
func ReadMeta(b []byte) (m Meta, err error) {
	r := transport.NewReader(b)
	n := r.ArrayLen(16)
	version := r.Uint()
	if r.Err() == nil && version != Version {
		return m, fmt.Errorf("its wire version is %d, ours is %d", version, Version)
	}
	scheme := r.String()
	m.Origin, m.Leaving = ledger.Origin(r.Uint()), r.Bool()
	for i := metaFields; i < n && r.Err() == nil; i++ {
		r.Skip()
	}
	if n < metaFields || r.Err() != nil || len(r.Rest()) > 0 {
		return m, errors.New("its metadata is not weir's")
	}
	if scheme != ring.Scheme {
		return m, fmt.Errorf("its ring scheme is %.*q, ours is %q", schemeMax, scheme, ring.Scheme)
	}
	return m, nil
}
