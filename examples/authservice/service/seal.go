package service

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// sealer turns a value into a text that only holders of the secret can read or make. What
// a service would keep in a table it can so give to the client instead: any node opens
// what another sealed.
type sealer struct{ aead cipher.AEAD }

// kind is what a sealed text is for. It begins the text, and is sealed with it: a code
// cannot pass as a refresh token.
type kind string

const (
	kindAgent   kind = "ag"
	kindCode    kind = "code"
	kindRefresh kind = "rt"
	kindConsent kind = "areq"
)

// errSealed is every reason for which a text is not accepted. Who presents one learns no
// more: it is either ours or not.
var errSealed = errors.New("service: not sealed by this cluster for this use")

func newSealer(secret []byte) (sealer, error) {
	// The label keeps this key apart from all others that are derived from the secret.
	key, err := hkdf.Key(sha256.New, secret, nil, "weir authservice seal v1", 32)
	if err != nil {
		return sealer{}, fmt.Errorf("service: sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("service: sealing key: %w", err)
	}
	// A random nonce is safe for 2^32 texts of one key: at 100 a second for 16 months.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

// seal makes a text from a value.
func (s sealer) seal(k kind, value any) (string, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("service: seal: %w", err)
	}
	return string(k) + "_" + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(k))), nil
}

// open reads a value from a text of the given kind.
func (s sealer) open(k kind, text string, value any) error {
	encoded, ok := strings.CutPrefix(text, string(k)+"_")
	if !ok {
		return errSealed
	}
	// Strict: of one value there is one text, so a text can be remembered by its hash.
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return errSealed
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(k))
	if err != nil || json.Unmarshal(plain, value) != nil {
		return errSealed
	}
	return nil
}
