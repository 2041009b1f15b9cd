package transport

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew; read the difference")

// request builds a whole frame.
func request(id uint64, kind uint8, body string) []byte {
	b := append(beginFrame(nil, id, kind), body...)
	endFrame(b, 0)
	return b
}

func TestWireBytesDoNotChange(t *testing.T) {
	h, err := hello{minors: minors{1, 3}, label: "staging", body: []byte{1, 2}}.encode()
	require.NoError(t, err)
	w, err := welcome{minor: 2, body: []byte{3}}.encode()
	require.NoError(t, err)
	no, err := welcome{refused: true, reason: "no"}.encode()
	require.NoError(t, err)
	stream, err := hello{minors: minors{1, 3}, label: "staging", stream: true}.encode()
	require.NoError(t, err)
	key := NewKeyring([]byte("secret")).first()
	old, err := welcome{refused: true, reason: "no", version: true}.encode()
	require.NoError(t, err)
	var got strings.Builder
	for _, line := range []struct {
		name  string
		bytes []byte
	}{
		{"preface-plain", preface(nil, nil)},
		{"preface-tls", preface(&credentials{ring: NewKeyring([]byte("secret"))}, make([]byte, greetingLen))},
		{"exporter-label", []byte(exporterLabel)},
		{"proof-dialer", key.proof(make([]byte, 32), roleDialer)},
		{"proof-listener", key.proof(make([]byte, 32), roleListener)},
		{"statuses", []byte{byte(statusGo), byte(statusVersion), byte(statusNeedsSecret), byte(statusNoSecret), byte(statusWrongSecret), byte(statusTooBusy)}},
		{"hello", h},
		{"hello-stream", stream},
		{"welcome", w},
		{"refused", no},
		{"refused-version", old},
		{"request", request(4097, 7, "\x92\x01\xa1x")},
		{"answer", appendAnswer(nil, 4097, []byte{0xc3}, nil)},
		{"failed", appendAnswer(nil, 1<<40, nil, errors.New("not mine"))},
		{"busy", request(5, statusBusy, "")},
	} {
		got.WriteString(line.name + " " + hex.EncodeToString(line.bytes) + "\n")
	}
	const golden = "testdata/wire.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String(), "the wire is a promise to other versions: a change needs a new one")
}

// readFrames returns all frames of src and the error that ended it.
func readFrames(src io.Reader) (frames [][]byte, f *frameReader, err error) {
	f = &frameReader{src: src}
	for {
		frame, err := f.next()
		if err == nil && frame == nil {
			err = f.fill()
		}
		if err != nil {
			return frames, f, err
		}
		if frame != nil {
			frames = append(frames, bytes.Clone(frame))
		}
	}
}

func TestFramesHoweverTheyArrive(t *testing.T) {
	var stream []byte
	var want [][]byte
	for i, n := range []int{0, 1, 100, 9000, MaxFrame - 8, 3, 30000, 30000, 30000} {
		b := request(uint64(i), 1, strings.Repeat("x", n))
		stream = append(stream, b...)
		want = append(want, b[frameHead:])
	}
	for name, src := range map[string]io.Reader{
		"at once":      bytes.NewReader(stream),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
		"in halves":    iotest.HalfReader(bytes.NewReader(stream)),
		"data and EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		got, f, err := readFrames(src)
		assert.ErrorIs(t, err, io.EOF, name)
		assert.Equal(t, want, got, name)
		assert.LessOrEqual(t, len(f.buf), readBufferMax, name)
	}
}

func TestFrameLengthsAreJudgedFirst(t *testing.T) {
	for name, in := range map[string]string{
		"one more than allowed": "\x00\x01\x00\x01",
		"4 GiB":                 "\xff\xff\xff\xff",
		"text":                  "GET / HTTP/1.1\r\n",
		"shorter than a head":   "\x00\x00\x00\x02\x93\x01",
	} {
		_, f, err := readFrames(strings.NewReader(in))
		assert.ErrorIs(t, err, ErrProtocol, name)
		assert.Equal(t, readBufferMin, len(f.buf), "%s: nothing was allocated for it", name)
	}
}

func TestParseFrame(t *testing.T) {
	id, kind, body, ok := parseFrame(request(70000, 255, "rest")[frameHead:])
	assert.True(t, ok)
	assert.EqualValues(t, 70000, id)
	assert.EqualValues(t, 255, kind)
	assert.Equal(t, "rest", string(body))
	for name, in := range map[string]string{
		"empty": "", "no array": "\x01\x01\x01", "array of two": "\x92\x01\x01", "id is text": "\x93\xa1x\x01",
		"negative id": "\x93\xff\x01", "kind too large": "\x93\x01\xcd\x01\x00", "cut in the id": "\x93\xcf\x01",
	} {
		_, _, _, ok := parseFrame([]byte(in))
		assert.False(t, ok, name)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(request(1, 2, "body"))
	f.Add(append(request(1, 2, ""), request(1<<60, 3, "x")...))
	f.Add([]byte{0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		frames, r, err := readFrames(bytes.NewReader(in))
		require.Error(t, err)
		require.LessOrEqual(t, len(r.buf), readBufferMax)
		slow, _, slowErr := readFrames(iotest.OneByteReader(bytes.NewReader(in)))
		require.Equal(t, frames, slow, "however they arrive")
		require.Equal(t, err, slowErr)
		for _, frame := range frames {
			id, kind, body, ok := parseFrame(frame)
			if !ok {
				continue
			}
			again, kind2, body2, ok := parseFrame(request(id, kind, string(body))[frameHead:])
			require.True(t, ok)
			require.Equal(t, id, again)
			require.Equal(t, kind, kind2)
			require.Equal(t, string(body), string(body2))
		}
	})
}
