package port

import (
	"encoding/binary"
)

// Memberlist believes what it reads: lengths, counts, that arrays are long enough. So what
// comes from other members is read here first, and what is not of the form that memberlist
// itself produces, within our limits, does not reach it. Elements that a later version adds
// to a message are let through where they are plain values.

// Kinds of memberlist's messages. Others are not for us: we send no user messages, nothing
// compressed, and nothing that memberlist encrypts.
const (
	kindPing = iota
	kindIndirectPing
	kindAck
	kindSuspect
	kindAlive
	kindDead
	kindPushPull
	kindCompound
	kindNack = 11
	kindCRC  = 12
	kindErr  = 13
)

const (
	screenName  = 255     // bytes, of a node's name
	screenMeta  = 512     // of its metadata
	screenText  = 1 << 10 // of an error
	screenNodes = 1 << 10 // in an exchange of members
	screenState = 1 << 18 // bytes of the roster there
	screenDepth = 4       // of values that are not known
)

// shape is what the fields of a message may be; a field may be missing.
type shape map[string]func(*value) bool

var (
	aNumber  = func(max uint64) func(*value) bool { return func(v *value) bool { return v.uint(max) } }
	aText    = func(max int) func(*value) bool { return func(v *value) bool { return v.bytes(0, max) } }
	anAddr   = func(v *value) bool { return v.bytes(4, 4) || v.bytes(16, 16) }
	noAddr   = func(v *value) bool { return v.bytes(0, 0) || anAddr(v) }
	versions = func(v *value) bool { return v.bytes(6, 6) }
	sequence = aNumber(1<<32 - 1)
	aPort    = aNumber(1<<16 - 1)
	aName    = aText(screenName)

	ping = shape{"SeqNo": sequence, "Node": aName, "SourceAddr": noAddr, "SourcePort": aPort, "SourceNode": aName}
	asks = shape{"SeqNo": sequence, "Target": anAddr, "Port": aPort, "Node": aName, "Nack": (*value).bool,
		"SourceAddr": noAddr, "SourcePort": aPort, "SourceNode": aName}
	rumour = shape{"Incarnation": sequence, "Node": aName, "From": aName}

	shapes = map[byte]shape{
		kindPing: ping, kindIndirectPing: asks, kindAck: {"SeqNo": sequence, "Payload": aText(screenMeta)},
		kindNack: {"SeqNo": sequence}, kindSuspect: rumour, kindDead: rumour, kindErr: {"Error": aText(screenText)},
		kindAlive: {"Incarnation": sequence, "Node": aName, "Addr": anAddr, "Port": aPort, "Meta": aText(screenMeta), "Vsn": versions},
	}
	pushPullHead = shape{"Nodes": aNumber(screenNodes), "UserStateLen": aNumber(screenState), "Join": (*value).bool}
	pushPullNode = shape{"Name": aName, "Addr": anAddr, "Port": aPort, "Meta": aText(screenMeta), "Incarnation": sequence,
		"State": aNumber(3), "Vsn": versions}

	inPacket = map[byte]bool{kindPing: true, kindIndirectPing: true, kindAck: true, kindNack: true, kindSuspect: true, kindAlive: true, kindDead: true}
	inStream = map[byte]bool{kindPing: true, kindAck: true, kindErr: true}
)

// packetFits says whether memberlist can bear a packet.
func packetFits(b []byte) bool {
	if len(b) >= 5 && b[0] == kindCRC { // memberlist compares it
		b = b[5:]
	}
	if len(b) == 0 {
		return false
	}
	if b[0] != kindCompound {
		return inPacket[b[0]] && messageFits(b)
	}
	if len(b) < 2 || len(b) < 2+2*int(b[1]) {
		return false
	}
	lengths, rest := b[2:2+2*int(b[1])], b[2+2*int(b[1]):]
	for ; len(lengths) > 0; lengths = lengths[2:] {
		n := int(binary.BigEndian.Uint16(lengths))
		if n == 0 || n > len(rest) || !inPacket[rest[0]] || !messageFits(rest[:n]) {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

// messageFits judges one message that is not made of others.
func messageFits(b []byte) bool {
	v := value{b: b[1:]}
	return v.fields(shapes[b[0]], nil) && len(v.b) == 0
}

// streamFits says whether memberlist can bear what came in on a stream, or in answer there.
func streamFits(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] != kindPushPull {
		return inStream[b[0]] && messageFits(b)
	}
	v := value{b: b[1:]}
	head := map[string]uint64{}
	if !v.fields(pushPullHead, head) {
		return false
	}
	for range head["Nodes"] {
		if !v.fields(pushPullNode, nil) {
			return false
		}
	}
	return uint64(len(v.b)) == head["UserStateLen"]
}

// value is msgpack, read from its beginning. Each method takes one value, and says false
// where there is none of its kind; then nothing is taken, except by fields and any.
type value struct{ b []byte }

const (
	mpNil, mpFalse, mpTrue = 0xc0, 0xc2, 0xc3
	mpUint8, mpInt8        = 0xcc, 0xd0
)

// fields takes a map from names to values of a shape, each once, and notes the numbers.
func (v *value) fields(s shape, numbers map[string]uint64) bool {
	if len(v.b) == 0 || v.b[0]&0xf0 != 0x80 { // 15 fields at most
		return false
	}
	n := int(v.b[0] & 0x0f)
	v.b = v.b[1:]
	seen := map[string]bool{}
	for range n {
		name, ok := v.raw(32)
		if !ok || seen[string(name)] {
			return false
		}
		seen[string(name)] = true
		if numbers != nil {
			peek := *v
			if x, ok := peek.number(); ok {
				numbers[string(name)] = x
			}
		}
		if is, known := s[string(name)]; known && !is(v) || !known && !v.any(screenDepth) {
			return false
		}
	}
	return true
}

// raw takes a string or bytes of at most so many.
func (v *value) raw(max int) ([]byte, bool) {
	b := v.b
	if len(b) == 0 {
		return nil, false
	}
	var head, n int
	switch c := b[0]; {
	case c&0xe0 == 0xa0:
		head, n = 1, int(c&0x1f)
	case (c == 0xd9 || c == 0xc4) && len(b) >= 2:
		head, n = 2, int(b[1])
	case (c == 0xda || c == 0xc5) && len(b) >= 3:
		head, n = 3, int(binary.BigEndian.Uint16(b[1:]))
	default:
		return nil, false
	}
	if n > max || head+n > len(b) {
		return nil, false
	}
	v.b = b[head+n:]
	return b[head : head+n], true
}

// bytes takes a string or bytes, or none at all where none is allowed.
func (v *value) bytes(min, max int) bool {
	if min == 0 && len(v.b) > 0 && v.b[0] == mpNil {
		v.b = v.b[1:]
		return true
	}
	before := v.b
	got, ok := v.raw(max)
	if !ok || len(got) < min {
		v.b = before
		return false
	}
	return true
}

// number takes a whole number that is not negative.
func (v *value) number() (uint64, bool) {
	b := v.b
	if len(b) == 0 {
		return 0, false
	}
	c := b[0]
	if c < 0x80 {
		v.b = b[1:]
		return uint64(c), true
	}
	var width int
	switch {
	case c >= mpUint8 && c < mpUint8+4:
		width = 1 << (c - mpUint8)
	case c >= mpInt8 && c < mpInt8+4:
		width = 1 << (c - mpInt8)
	}
	if width == 0 || len(b) < 1+width {
		return 0, false
	}
	var x uint64
	for _, d := range b[1 : 1+width] {
		x = x<<8 | uint64(d)
	}
	if c >= mpInt8 && x>>(8*width-1) != 0 { // negative
		return 0, false
	}
	v.b = b[1+width:]
	return x, true
}

func (v *value) uint(max uint64) bool {
	x, ok := v.number()
	return ok && x <= max
}

func (v *value) bool() bool {
	if len(v.b) == 0 || v.b[0] != mpFalse && v.b[0] != mpTrue {
		return false
	}
	v.b = v.b[1:]
	return true
}

// any takes a plain value that nobody here knows.
func (v *value) any(depth int) bool {
	if v.bytes(0, screenMeta) || v.bool() || v.uint(1<<64-1) {
		return true
	}
	if depth == 0 || len(v.b) == 0 {
		return false
	}
	c, n := v.b[0], 0
	switch c & 0xf0 {
	case 0x90:
		n = int(c & 0x0f)
	case 0x80:
		n = 2 * int(c&0x0f)
	default:
		return false
	}
	v.b = v.b[1:]
	for range n {
		if !v.any(depth - 1) {
			return false
		}
	}
	return true
}
