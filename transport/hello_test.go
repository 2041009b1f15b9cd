package transport

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWireIsTheHighestVersion(t *testing.T) {
	require.Equal(t, fmt.Sprintf("%d.%d", wireVersion, minorHigh), Wire)
	require.LessOrEqual(t, minorLow, minorHigh)
}

func TestMinorsInCommon(t *testing.T) {
	for _, c := range []struct {
		a, b minors
		want uint64
		ok   bool
	}{
		{minors{1, 1}, minors{1, 1}, 1, true},
		{minors{1, 3}, minors{2, 5}, 3, true},
		{minors{2, 5}, minors{1, 3}, 3, true},
		{minors{1, 9}, minors{4, 5}, 5, true},
		{minors{1, 2}, minors{3, 4}, 0, false},
		{minors{3, 4}, minors{1, 2}, 0, false},
		{minors{5, 1}, minors{1, 5}, 0, false}, // nonsense from outside is nobody's version
	} {
		got, ok := c.a.common(c.b)
		assert.Equal(t, c.ok, ok, "%v %v", c.a, c.b)
		if ok {
			assert.Equal(t, c.want, got, "%v %v", c.a, c.b)
		}
	}
}

func TestHelloThereAndBack(t *testing.T) {
	want := hello{minors: minors{1, 300}, label: "prod", body: bytes.Repeat([]byte{7}, MaxHello)}
	b, err := want.encode()
	require.NoError(t, err)
	frame, err := readHelloFrame(bytes.NewReader(b))
	require.NoError(t, err)
	got, err := decodeHello(frame)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	for _, want := range []welcome{{minor: 3, body: []byte("reply")}, {refused: true, reason: "because"}, {refused: true, reason: "because", version: true}} {
		b, err := want.encode()
		require.NoError(t, err)
		got, err := decodeWelcome(b[frameHead:])
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestHelloOfALaterVersion(t *testing.T) {
	frame := AppendBytes(AppendString(AppendUint(AppendUint(AppendArrayLen(nil, 6), 1), 2), "l"), []byte("h"))
	frame = AppendString(AppendUint(frame, 99), "more")
	h, err := decodeHello(frame)
	require.NoError(t, err)
	assert.Equal(t, hello{minors: minors{1, 2}, label: "l", body: []byte("h")}, h)
}

func TestHelloRefuses(t *testing.T) {
	head := AppendUint(AppendUint(AppendArrayLen(nil, 4), 1), 1)
	for name, frame := range map[string][]byte{
		"empty":          {},
		"no array":       {0xc0},
		"too few fields": {0x93, 1, 1, 0xa0},
		"4 G fields":     {0xdd, 0xff, 0xff, 0xff, 0xff},
		"long label":     AppendBytes(AppendString(bytes.Clone(head), strings.Repeat("l", MaxLabel+1)), nil),
		"long hello":     AppendBytes(AppendString(bytes.Clone(head), "l"), make([]byte, MaxHello+1)),
		"4 GiB of label": append(bytes.Clone(head), 0xdb, 0xff, 0xff, 0xff, 0xff),
		"cut":            AppendString(bytes.Clone(head), "l"),
		"hello is a map": append(AppendString(bytes.Clone(head), "l"), 0x80),
	} {
		_, err := decodeHello(frame)
		assert.ErrorIs(t, err, ErrProtocol, name)
	}
	_, err := readHelloFrame(bytes.NewReader([]byte{0, 0, 0x10, 0x01}))
	assert.ErrorIs(t, err, ErrProtocol, "4097 bytes")
}

func FuzzHello(f *testing.F) {
	b, err := hello{minors: minors{1, 1}, label: "l", body: []byte("h")}.encode()
	require.NoError(f, err)
	f.Add(b)
	w, err := welcome{refused: true, reason: "r"}.encode()
	require.NoError(f, err)
	f.Add(w)
	f.Add([]byte{0, 0, 0, 5, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := readHelloFrame(bytes.NewReader(in))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(frame), maxHelloFrame)
		if h, err := decodeHello(frame); err == nil {
			require.LessOrEqual(t, len(h.label), MaxLabel)
			require.LessOrEqual(t, len(h.body), MaxHello)
			b, err := h.encode()
			require.NoError(t, err)
			again, err := decodeHello(b[frameHead:])
			require.NoError(t, err)
			require.Equal(t, h.label, again.label)
			require.Equal(t, h.minors, again.minors)
			require.True(t, bytes.Equal(h.body, again.body))
		}
		if w, err := decodeWelcome(frame); err == nil {
			require.LessOrEqual(t, len(w.reason), MaxReason)
			require.LessOrEqual(t, len(w.body), MaxHello)
		}
	})
}
