package transport

import (
	"encoding/binary"
	"io"
)

const (
	frameHead = 4 // the length
	frameMin  = 3 // array, id and kind of one byte each, and an empty body

	readBufferMin = 8 << 10
	readBufferMax = MaxFrame + frameHead
)

// Statuses of an answer.
const (
	statusOK     = 0
	statusFailed = 1
	statusBusy   = 2
)

// beginFrame opens a frame: room for its length, and the head that requests and
// answers have in common. The body is appended next, then endFrame called.
func beginFrame(b []byte, id uint64, code uint8) []byte {
	b = append(b, 0, 0, 0, 0, 0x93)
	b = AppendUint(b, id)
	return AppendUint(b, uint64(code))
}

// endFrame writes the length of the frame that begins at start, and reports whether
// it keeps to the limit.
func endFrame(b []byte, start int) bool {
	n := len(b) - start - frameHead
	binary.BigEndian.PutUint32(b[start:], uint32(n))
	return n <= MaxFrame
}

// parseFrame takes a frame apart: [id, kind or status, body].
func parseFrame(frame []byte) (id uint64, code uint8, body []byte, ok bool) {
	if len(frame) == 0 || frame[0] != 0x93 {
		return 0, 0, nil, false
	}
	r := Reader{buf: frame[1:]}
	id = r.Uint()
	c := r.Uint()
	if r.err != nil || c > 255 {
		return 0, 0, nil, false
	}
	return id, uint8(c), r.buf, true
}

// frameReader cuts what arrives into frames. Reading and cutting are apart, so that
// its user can do what must be done between "all that came is dealt with" and "wait".
type frameReader struct {
	src  io.Reader
	buf  []byte
	r, w int // buf[r:w] is read and not yet cut
}

// next returns the next frame that is there as a whole, nil where there is none. The
// bytes are valid until fill. A length beyond the limit is an error before anything
// is allocated for it.
func (f *frameReader) next() ([]byte, error) {
	have := f.buf[f.r:f.w]
	if len(have) < frameHead {
		return nil, nil
	}
	n := binary.BigEndian.Uint32(have)
	if n > MaxFrame || n < frameMin {
		return nil, ErrProtocol
	}
	end := frameHead + int(n)
	if len(have) < end {
		return nil, nil
	}
	f.r += end
	return have[frameHead:end:end], nil
}

// fill reads once. The buffer grows with the traffic, and not beyond the longest frame:
// what next left over is less than a frame, so that there is always room.
func (f *frameReader) fill() error {
	left := copy(f.buf, f.buf[f.r:f.w])
	full := f.w == len(f.buf)
	f.r, f.w = 0, left
	if full && len(f.buf) < readBufferMax {
		grown := make([]byte, min(max(2*len(f.buf), readBufferMin), readBufferMax))
		copy(grown, f.buf[:left])
		f.buf = grown
	}
	n, err := f.src.Read(f.buf[f.w:])
	f.w += n
	if n > 0 {
		return nil // an error that came with bytes comes again
	}
	return err
}
