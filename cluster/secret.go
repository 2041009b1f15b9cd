package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
)

// Secret is what proves that a node belongs to the cluster. However it is printed, logged or
// marshalled, its bytes are not shown.
type Secret []byte

const (
	secretMin     = 16 // bytes
	secretVariety = 8  // different ones
	secretHelp    = "make one with cluster.NewSecret, or openssl rand -base64 32"
)

// NewSecret makes a secret of 256 random bits, as text of 43 printable characters: to be put into
// the file or variable from which all nodes read it.
func NewSecret() Secret {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.AppendEncode(nil, b[:])
}

// check says what is wrong with a secret, without a byte of it; "" if nothing is.
func (s Secret) check() string {
	var seen [256]bool
	different := 0
	for _, c := range s {
		if !seen[c] {
			seen[c] = true
			different++
		}
	}
	switch {
	case len(s) == 0:
		return "" // there is none: resolveBind sees to that
	case len(s) < secretMin:
		return fmt.Sprintf("is shorter than %d: %s", secretMin, secretHelp)
	case different < secretVariety:
		return fmt.Sprintf("has only %d different ones, so it is easy to guess: %s", different, secretHelp)
	}
	return ""
}

// String tells whether there is a secret, and no more.
func (s Secret) String() string {
	if len(s) == 0 {
		return "none"
	}
	return "[secret]"
}

// Format prints String, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText gives String. A secret is not read back from it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Format prints a Config, whatever the verb, as %+v or %#v, and of its secret only whether there is
// one: where a verb does not fit a pointer, fmt would print the bytes.
func (c Config) Format(f fmt.State, _ rune) {
	type plain Config
	if f.Flag('#') {
		fmt.Fprintf(f, "%#v", plain(c))
		return
	}
	fmt.Fprintf(f, "%+v", plain(c))
}
