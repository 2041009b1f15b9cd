package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/vmihailenco/msgpack/v5"
)

// minors is a range of minor wire versions, both ends included.
type minors struct{ low, high uint64 }

// common returns the highest minor version that both ranges contain.
func (m minors) common(o minors) (uint64, bool) {
	v := min(m.high, o.high)
	return v, v >= max(m.low, o.low)
}

func (m minors) String() string {
	return fmt.Sprintf("%d.%d-%d.%d", wireVersion, m.low, wireVersion, m.high)
}

// hello is a dialer's introduction.
type hello struct {
	minors minors
	label  string
	body   []byte
	stream bool // what follows is a stream, and no calls
}

// welcome is the listener's answer: a reason where it refuses.
type welcome struct {
	refused bool
	reason  string
	version bool // that it was refused for
	minor   uint64
	body    []byte
}

// refusedVersion is the third element of a refusal, if it is for the dialer's version.
const refusedVersion = 1

// helloStream is the fifth element of a hello, if that is a stream's.
const helloStream = 1

// Handshakes are rare, so they go through the msgpack library; but only through its
// plain calls on a bounded frame: its decoding by reflection believes lengths.

func (h hello) encode() ([]byte, error) {
	return encodeFrame(func(e *msgpack.Encoder) error {
		fields := 4
		if h.stream {
			fields++
		}
		err := firstError(
			e.EncodeArrayLen(fields),
			e.EncodeUint(h.minors.low),
			e.EncodeUint(h.minors.high),
			e.EncodeString(h.label),
			e.EncodeBytes(notNil(h.body)),
		)
		if err == nil && h.stream {
			err = e.EncodeUint(helloStream)
		}
		return err
	})
}

// decodeHello trusts nobody: without a secret, anybody can say hello.
func decodeHello(frame []byte) (hello, error) {
	d := newFieldDecoder(frame, 4)
	h := hello{minors: minors{low: d.uint(), high: d.uint()}}
	h.label = string(d.bytes(MaxLabel))
	h.body = d.bytes(MaxHello)
	if d.more > 0 {
		h.stream = d.uint() == helloStream
	}
	return h, d.error("hello")
}

func (w welcome) encode() ([]byte, error) {
	return encodeFrame(func(e *msgpack.Encoder) error {
		switch {
		case w.refused && w.version:
			return firstError(e.EncodeArrayLen(3), e.EncodeUint(1), e.EncodeString(w.reason), e.EncodeUint(refusedVersion))
		case w.refused:
			return firstError(e.EncodeArrayLen(2), e.EncodeUint(1), e.EncodeString(w.reason))
		}
		return firstError(e.EncodeArrayLen(3), e.EncodeUint(0), e.EncodeUint(w.minor), e.EncodeBytes(notNil(w.body)))
	})
}

func decodeWelcome(frame []byte) (welcome, error) {
	d := newFieldDecoder(frame, 2)
	var w welcome
	switch d.uint() {
	case 0:
		w.minor = d.uint()
		w.body = d.bytes(MaxHello)
	default: // also what a later version might say: it is no welcome
		w.refused = true
		w.reason = string(d.bytes(MaxReason))
		if d.more > 0 {
			w.version = d.uint() == refusedVersion
		}
	}
	return w, d.error("welcome")
}

// notNil keeps the library from writing no bytes as nil, which is another type.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// encodeFrame puts the length before what encode writes.
func encodeFrame(encode func(*msgpack.Encoder) error) ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, frameHead))
	if err := encode(msgpack.NewEncoder(&b)); err != nil {
		return nil, fmt.Errorf("transport: encode handshake: %w", err)
	}
	binary.BigEndian.PutUint32(b.Bytes(), uint32(b.Len()-frameHead))
	return b.Bytes(), nil
}

// readHelloFrame reads one frame of the handshake, and not a byte more: what follows
// belongs to others. The length is judged before anything is allocated for it.
func readHelloFrame(r io.Reader) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxHelloFrame {
		return nil, fmt.Errorf("%w: a handshake frame of %d bytes", ErrProtocol, n)
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// fieldDecoder reads the fields of an array in order. The first error sticks.
type fieldDecoder struct {
	src  *bytes.Reader
	dec  *msgpack.Decoder
	more int // fields beyond those that must be there
	err  error
}

// newFieldDecoder opens an array of at least fields elements. More are those of a later
// version; they come last and are not looked at.
func newFieldDecoder(frame []byte, fields int) *fieldDecoder {
	src := bytes.NewReader(frame)
	d := &fieldDecoder{src: src, dec: msgpack.NewDecoder(src)}
	n, err := d.dec.DecodeArrayLen()
	if err == nil && n < fields {
		err = fmt.Errorf("%d fields, want %d", n, fields)
	}
	d.more, d.err = n-fields, err
	return d
}

func (d *fieldDecoder) uint() uint64 {
	if d.err != nil {
		return 0
	}
	var v uint64
	v, d.err = d.dec.DecodeUint64()
	return v
}

// bytes reads a str or a bin of at most limit bytes.
func (d *fieldDecoder) bytes(limit int) []byte {
	if d.err != nil {
		return nil
	}
	n, err := d.dec.DecodeBytesLen()
	n = max(n, 0) // nil
	if err == nil && (n > limit || n > d.src.Len()) {
		err = fmt.Errorf("%d bytes, of which %d are allowed and %d are there", n, limit, d.src.Len())
	}
	if err != nil {
		d.err = err
		return nil
	}
	b := make([]byte, n)
	d.err = d.dec.ReadFull(b)
	return b
}

func (d *fieldDecoder) error(what string) error {
	if d.err == nil {
		return nil
	}
	return fmt.Errorf("%w: bad %s: %w", ErrProtocol, what, d.err)
}
