package limiter

import (
	"encoding/binary"
)

// Key joins the parts of a key, usually a rule's name and a subject, so that no
// two lists of parts give the same key: each part is preceded by its length.
func Key(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p) + 2
	}
	return string(AppendKey(make([]byte, 0, n), parts...))
}

// AppendKey appends what [Key] returns to b.
func AppendKey(b []byte, parts ...string) []byte {
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
