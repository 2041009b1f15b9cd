package limiter

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzKey reads a key back into its parts. What can be read back has no twin: no
// other list of parts gives the same key.
func FuzzKey(f *testing.F) {
	f.Add("login10.0.0.1", uint16(5), uint16(0))
	f.Add("", uint16(0), uint16(0))
	f.Add("\x01\x01\x01", uint16(1), uint16(1))
	f.Add(string(make([]byte, 300)), uint16(130), uint16(2))
	f.Fuzz(func(t *testing.T, s string, i, j uint16) {
		a := int(i) % (len(s) + 1)
		b := a + int(j)%(len(s)-a+1)
		for _, parts := range [][]string{{}, {s}, {s[:a], s[a:]}, {s[:a], s[a:b], s[b:]}, {"", s, ""}} {
			key := Key(parts...)
			require.Equal(t, parts, split(t, key))
			require.Equal(t, "x"+key, string(AppendKey([]byte("x"), parts...)))
		}
	})
}

// split is the inverse of Key.
func split(t testing.TB, key string) []string {
	parts := []string{}
	for len(key) > 0 {
		n, size := binary.Uvarint([]byte(key))
		require.Positive(t, size)
		require.LessOrEqual(t, int(n), len(key)-size)
		parts = append(parts, key[size:size+int(n)])
		key = key[size+int(n):]
	}
	return parts
}
