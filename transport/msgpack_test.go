package transport

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// library encodes through the msgpack library, against which ours is judged.
func library(t *testing.T, encode func(*msgpack.Encoder) error) []byte {
	var b bytes.Buffer
	require.NoError(t, encode(msgpack.NewEncoder(&b)))
	return b.Bytes()
}

// checkUint and those below compare our bytes with the library's, and read them back.
func checkUint(t *testing.T, v uint64) {
	b := AppendUint(nil, v)
	require.Equal(t, library(t, func(e *msgpack.Encoder) error { return e.EncodeUint(v) }), b, "uint %d", v)
	r := NewReader(b)
	require.Equal(t, v, r.Uint())
	require.NoError(t, r.Err())
	require.Empty(t, r.Rest())
}

func checkInt(t *testing.T, v int64) {
	b := AppendInt(nil, v)
	require.Equal(t, library(t, func(e *msgpack.Encoder) error { return e.EncodeInt(v) }), b, "int %d", v)
	r := NewReader(b)
	require.Equal(t, v, r.Int())
	require.NoError(t, r.Err())
	require.Empty(t, r.Rest())
}

func checkBytes(t *testing.T, v []byte) {
	b := AppendBytes(nil, v)
	require.True(t, bytes.Equal(library(t, func(e *msgpack.Encoder) error { return e.EncodeBytes(v) }), b), "%d bytes", len(v))
	r := NewReader(b)
	require.True(t, bytes.Equal(v, r.Bytes()))
	require.NoError(t, r.Err())
	require.Empty(t, r.Rest())

	b = AppendString(nil, string(v))
	require.True(t, bytes.Equal(library(t, func(e *msgpack.Encoder) error { return e.EncodeString(string(v)) }), b), "%d bytes", len(v))
	r = NewReader(b)
	require.Equal(t, string(v), r.String())
	require.NoError(t, r.Err())
	require.Empty(t, r.Rest())
}

func TestNumbersLookAsTheLibraryWritesThem(t *testing.T) {
	for shift := range 64 {
		for d := range uint64(3) {
			v := uint64(1)<<shift + d - 1
			checkUint(t, v)
			checkInt(t, int64(v))
			checkInt(t, -int64(v))
		}
	}
	checkInt(t, math.MinInt64)
	for _, v := range []bool{false, true} {
		r := NewReader(AppendBool(nil, v))
		assert.Equal(t, v, r.Bool())
		assert.NoError(t, r.Err())
	}
}

func TestBytesLookAsTheLibraryWritesThem(t *testing.T) {
	for _, n := range []int{1, 31, 32, 255, 256, 65535, 65536} {
		checkBytes(t, bytes.Repeat([]byte{'x'}, n))
	}
	for _, n := range []int{0, 15, 16, 65535, 65536} {
		want := library(t, func(e *msgpack.Encoder) error { return e.EncodeArrayLen(n) })
		b := AppendArrayLen(nil, n)
		require.Equal(t, want, b)
		r := NewReader(append(b, make([]byte, n)...))
		assert.Equal(t, n, r.ArrayLen(n))
		assert.NoError(t, r.Err())
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		read func(*Reader)
	}{
		{"nothing", nil, func(r *Reader) { r.Uint() }},
		{"negative as unsigned", AppendInt(nil, -1), func(r *Reader) { r.Uint() }},
		{"too large for signed", AppendUint(nil, math.MaxUint64), func(r *Reader) { r.Int() }},
		{"cut integer", []byte{0xcf, 1, 2}, func(r *Reader) { r.Uint() }},
		{"float as integer", []byte{0xca, 0, 0, 0, 0}, func(r *Reader) { r.Int() }},
		{"nil as bool", []byte{0xc0}, func(r *Reader) { r.Bool() }},
		{"str as bin", AppendString(nil, "x"), func(r *Reader) { r.Bytes() }},
		{"bin as str", AppendBytes(nil, []byte("x")), func(r *Reader) { _ = r.String() }},
		{"4 GiB of bytes", []byte{0xc6, 0xff, 0xff, 0xff, 0xff, 1}, func(r *Reader) { r.Bytes() }},
		{"4 GiB of text", []byte{0xdb, 0xff, 0xff, 0xff, 0xff, 1}, func(r *Reader) { _ = r.String() }},
		{"4 G elements", []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, func(r *Reader) { r.ArrayLen(math.MaxInt) }},
		{"more elements than bytes", []byte{0x92, 1}, func(r *Reader) { r.ArrayLen(10) }},
		{"more elements than allowed", []byte{0x92, 1, 1}, func(r *Reader) { r.ArrayLen(1) }},
		{"negative limit", []byte{0x91, 1}, func(r *Reader) { r.ArrayLen(-1) }},
		{"map as array", []byte{0x81, 1, 1}, func(r *Reader) { r.ArrayLen(10) }},
		{"skipping 4 G elements", []byte{0xdf, 0xff, 0xff, 0xff, 0xff, 1}, func(r *Reader) { r.Skip() }},
		{"skipping what is not msgpack", []byte{0xc1}, func(r *Reader) { r.Skip() }},
		{"skipping too deep", bytes.Repeat([]byte{0x91}, 100), func(r *Reader) { r.Skip() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(c.in)
			c.read(&r)
			assert.ErrorIs(t, r.Err(), ErrEncoding)
			assert.Zero(t, r.Uint(), "an error sticks")
			assert.Empty(t, r.Rest())
		})
	}
}

func TestSkipPassesOverEveryType(t *testing.T) {
	values := []any{
		nil, true, 1, -1, 200, -200, 70000, -70000, int64(math.MinInt64), uint64(math.MaxUint64), 1.5, float32(1.5),
		"", "text", string(make([]byte, 300)), []byte("bin"), make([]byte, 70000),
		[]any{}, []any{1, []any{2, "x"}}, make([]int, 20), map[string]any{"a": []any{1}}, map[int]int{1: 2},
	}
	for _, v := range values {
		b, err := msgpack.Marshal(v)
		require.NoError(t, err)
		r := NewReader(append(b, 7))
		r.Skip()
		assert.EqualValues(t, 7, r.Uint(), "after %T %v", v, v)
		assert.NoError(t, r.Err())
	}
	for _, ext := range []string{"\xd4tx", "\xd5txx", "\xd8t0123456789abcdef", "\xc7\x02txx", "\xc8\x00\x01tx", "\xc9\x00\x00\x00\x00t"} {
		r := NewReader(append([]byte(ext), 7))
		r.Skip()
		assert.EqualValues(t, 7, r.Uint(), "after ext %x", ext)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(0), int64(0), []byte(nil))
	f.Add(uint64(math.MaxUint64), int64(math.MinInt64), []byte("some bytes"))
	f.Fuzz(func(t *testing.T, u uint64, i int64, b []byte) {
		checkUint(t, u)
		checkInt(t, i)
		if b != nil { // of which the library makes a nil
			checkBytes(t, b)
		}
	})
}

// FuzzReader reads arbitrary bytes in an arbitrary order. Whatever ours accepts, the
// library reads as the same value.
func FuzzReader(f *testing.F) {
	f.Add([]byte("uibsaBk"), []byte{0xcf, 1, 2, 3, 4, 5, 6, 7, 8, 0xd0, 0xff, 0xc4, 1, 2, 0xa1, 'x', 0x90, 0xc3, 0x81, 1, 2})
	f.Add([]byte("k"), bytes.Repeat([]byte{0x91}, 1000))
	f.Add([]byte("a"), []byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("b"), []byte{0xc6, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, order, in []byte) {
		r := NewReader(in)
		for _, what := range order {
			before := r.Rest()
			dec := msgpack.NewDecoder(bytes.NewReader(before))
			var got, want any
			var err error
			switch what {
			case 'u':
				got = r.Uint()
				want, err = dec.DecodeUint64()
			case 'i':
				got = r.Int()
				want, err = dec.DecodeInt64()
			case 'b':
				got = string(r.Bytes())
				if r.Err() == nil { // or the library would allocate what it is told to
					var b []byte
					b, err = dec.DecodeBytes()
					want = string(b)
				}
			case 's':
				got = r.String()
				if r.Err() == nil {
					want, err = dec.DecodeString()
				}
			case 'a':
				got = r.ArrayLen(len(in))
				want, err = dec.DecodeArrayLen()
			case 'B':
				got = r.Bool()
				want, err = dec.DecodeBool()
			default:
				r.Skip()
				if r.Err() == nil {
					err = dec.Skip()
				}
			}
			if r.Err() != nil {
				require.ErrorIs(t, r.Err(), ErrEncoding)
				return
			}
			require.NoError(t, err, "%c of %x", what, before)
			require.Equal(t, want, got, "%c of %x", what, before)
			require.Less(t, len(r.Rest()), len(before))
		}
	})
}
