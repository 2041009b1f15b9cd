package transport

import (
	"encoding/binary"
	"math"
)

// maxDepth is how deep Skip follows arrays and maps: more than any message of ours
// nests, and little enough that hostile bytes cannot exhaust the stack.
const maxDepth = 8

// Reader reads msgpack values from bytes, in the order in which they were appended.
//
// The first error sticks: from then on every method returns zero, so that a message
// reads all its fields and asks [Reader.Err] once. No length is believed before it was
// compared with the bytes that remain, nothing is allocated but what String returns,
// and no bytes whatsoever make it panic.
type Reader struct {
	buf []byte
	err error
}

// NewReader returns a Reader of b, which it keeps but does not change.
func NewReader(b []byte) Reader { return Reader{buf: b} }

// Err returns the first error: nil, or one that is [ErrEncoding].
func (r *Reader) Err() error { return r.err }

// Rest returns the bytes not read yet.
func (r *Reader) Rest() []byte { return r.buf }

func (r *Reader) fail() {
	r.err, r.buf = ErrEncoding, nil
}

// take returns the next n bytes, or nil where fewer remain. n is compared as 64 bits
// because a length from the wire may not fit into an int everywhere.
func (r *Reader) take(n uint64) []byte {
	if n > uint64(len(r.buf)) {
		r.fail()
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

// number reads a big-endian number of 1, 2, 4 or 8 bytes.
func (r *Reader) number(size uint64) uint64 {
	b := r.take(size)
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// code reads the byte that tells a value's type. 0xc1, which msgpack never uses,
// stands for "there is none".
func (r *Reader) code() byte {
	if len(r.buf) == 0 {
		r.fail()
		return 0xc1
	}
	c := r.buf[0]
	r.buf = r.buf[1:]
	return c
}

// integer reads any integer as 64 bits of two's complement and tells its sign.
func (r *Reader) integer() (v uint64, negative bool) {
	c := r.code()
	switch {
	case c <= 0x7f:
		return uint64(c), false
	case c >= 0xe0:
		return uint64(int64(int8(c))), true
	case c >= 0xcc && c <= 0xcf:
		return r.number(1 << (c - 0xcc)), false
	case c >= 0xd0 && c <= 0xd3:
		shift := 64 - 8<<(c-0xd0)
		s := int64(r.number(1<<(c-0xd0))<<shift) >> shift
		return uint64(s), s < 0
	}
	r.fail()
	return 0, false
}

// Uint reads an integer that is not negative.
func (r *Reader) Uint() uint64 {
	v, negative := r.integer()
	if negative {
		r.fail()
		return 0
	}
	return v
}

// Int reads an integer that fits into an int64.
func (r *Reader) Int() int64 {
	v, negative := r.integer()
	if !negative && v > math.MaxInt64 {
		r.fail()
		return 0
	}
	return int64(v)
}

// Bool reads a bool.
func (r *Reader) Bool() bool {
	c := r.code()
	if c != 0xc2 && c != 0xc3 {
		r.fail()
	}
	return c == 0xc3
}

// Bytes reads a bin. The result is part of the Reader's own bytes: copy what must
// outlive them.
func (r *Reader) Bytes() []byte {
	c := r.code()
	if c < 0xc4 || c > 0xc6 {
		r.fail()
		return nil
	}
	return r.take(r.number(1 << (c - 0xc4)))
}

// stringBytes reads a str without copying it.
func (r *Reader) stringBytes() []byte {
	c := r.code()
	switch {
	case c >= 0xa0 && c <= 0xbf:
		return r.take(uint64(c & 0x1f))
	case c >= 0xd9 && c <= 0xdb:
		return r.take(r.number(1 << (c - 0xd9)))
	}
	r.fail()
	return nil
}

// String reads a str.
func (r *Reader) String() string { return string(r.stringBytes()) }

// ArrayLen opens an array of at most limit elements and returns how many it has. Each
// takes a byte at least, so that a length beyond what remains is an error at once: the
// caller may allocate for as many.
func (r *Reader) ArrayLen(limit int) int {
	var n uint64
	switch c := r.code(); {
	case c >= 0x90 && c <= 0x9f:
		n = uint64(c & 0x0f)
	case c == 0xdc || c == 0xdd:
		n = r.number(2 << (c - 0xdc))
	default:
		r.fail()
	}
	if n > uint64(max(limit, 0)) || n > uint64(len(r.buf)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Skip passes over one value of any type: a field that this version does not know.
func (r *Reader) Skip() { r.skip(maxDepth) }

func (r *Reader) skip(depth int) {
	if depth == 0 {
		r.fail()
		return
	}
	c := r.code()
	switch {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3: // all in the code
	case c <= 0x8f:
		r.skipEach(2*uint64(c&0x0f), depth)
	case c <= 0x9f:
		r.skipEach(uint64(c&0x0f), depth)
	case c <= 0xbf:
		r.take(uint64(c & 0x1f))
	case c >= 0xc4 && c <= 0xc6: // bin
		r.take(r.number(1 << (c - 0xc4)))
	case c >= 0xc7 && c <= 0xc9: // ext: its type is a byte of its own
		r.take(r.number(1<<(c-0xc7)) + 1)
	case c == 0xca, c == 0xcb: // float
		r.take(4 << (c - 0xca))
	case c >= 0xcc && c <= 0xd3: // integer
		r.take(1 << ((c - 0xcc) & 3))
	case c >= 0xd4 && c <= 0xd8: // fixext
		r.take(1<<(c-0xd4) + 1)
	case c >= 0xd9 && c <= 0xdb: // str
		r.take(r.number(1 << (c - 0xd9)))
	case c == 0xdc, c == 0xdd: // array
		r.skipEach(r.number(2<<(c-0xdc)), depth)
	case c == 0xde, c == 0xdf: // map
		r.skipEach(2*r.number(2<<(c-0xde)), depth)
	default:
		r.fail()
	}
}

// skipEach passes over n values. The loop ends with the bytes: n may be a lie.
func (r *Reader) skipEach(n uint64, depth int) {
	if n > uint64(len(r.buf)) {
		r.fail()
		return
	}
	for ; n > 0 && r.err == nil; n-- {
		r.skip(depth - 1)
	}
}
