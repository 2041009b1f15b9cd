package service

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// JSON Web Tokens (RFC 7519) of the two algorithms that this service signs with. One
// signer, one key, one algorithm: that leaves out all by which JWTs have been abused.

// claims are what a grant token says.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`  // the principal
	Agent     string   `json:"agt"`  // the agent's DID
	Developer string   `json:"dev"`  // whose agent it is
	Grant     string   `json:"grnt"` // what a revocation of the whole grant names
	Scopes    []string `json:"scp"`
	ID        string   `json:"jti"`
	IssuedAt  int64    `json:"iat"`
	Expiry    int64    `json:"exp"`
}

// jwk is a public key as JWKS has it. The fields that take part in a thumbprint are in the
// order of RFC 7638, and come first.
type jwk struct {
	Curve    string `json:"crv,omitempty"`
	Exponent string `json:"e,omitempty"`
	Type     string `json:"kty"`
	Modulus  string `json:"n,omitempty"`
	X        string `json:"x,omitempty"`

	Algorithm string `json:"alg,omitempty"`
	Use       string `json:"use,omitempty"`
	ID        string `json:"kid,omitempty"`
}

// errToken is every reason for which a token is not accepted.
var errToken = errors.New("service: token is malformed, expired, or signed by somebody else")

var b64 = base64.RawURLEncoding

// signer signs tokens and verifies them.
type signer struct {
	key    crypto.Signer
	public jwk
	header string // of every token, encoded
}

// newSigner makes a signer of an RSA key (RS256) or an Ed25519 key (EdDSA).
func newSigner(key crypto.Signer) (s signer, err error) {
	s.key = key
	var algorithm string
	switch p := key.Public().(type) {
	case *rsa.PublicKey:
		algorithm = "RS256"
		s.public = jwk{Type: "RSA", Modulus: b64.EncodeToString(p.N.Bytes()),
			Exponent: b64.EncodeToString(big.NewInt(int64(p.E)).Bytes())}
	case ed25519.PublicKey:
		algorithm = "EdDSA"
		s.public = jwk{Type: "OKP", Curve: "Ed25519", X: b64.EncodeToString(p)}
	default:
		return s, fmt.Errorf("service: a signing key of type %T is neither RSA nor Ed25519", key)
	}
	required, err := json.Marshal(s.public)
	if err != nil {
		return s, err
	}
	print := sha256.Sum256(required)
	s.public.Algorithm, s.public.Use, s.public.ID = algorithm, "sig", b64.EncodeToString(print[:])
	header, err := json.Marshal(map[string]string{"alg": algorithm, "typ": "JWT", "kid": s.public.ID})
	s.header = b64.EncodeToString(header)
	return s, err
}

// sign makes a token.
func (s signer) sign(c claims) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	text := s.header + "." + b64.EncodeToString(body)
	digest, hash := s.digest(text)
	signature, err := s.key.Sign(rand.Reader, digest, hash)
	if err != nil {
		return "", fmt.Errorf("service: sign: %w", err)
	}
	return text + "." + b64.EncodeToString(signature), nil
}

// digest is what is signed of a text: RS256 signs its hash, EdDSA all of it.
func (s signer) digest(text string) ([]byte, crypto.Hash) {
	if _, ok := s.key.Public().(*rsa.PublicKey); ok {
		sum := sha256.Sum256([]byte(text))
		return sum[:], crypto.SHA256
	}
	return []byte(text), 0
}

// verify returns what a token says that this signer signed and that has not expired.
func (s signer) verify(token string, now time.Time) (c claims, err error) {
	// The header must be ours to the letter: a token does not choose how it is checked.
	rest, ok := strings.CutPrefix(token, s.header+".")
	if !ok {
		return claims{}, errToken
	}
	body, signature, _ := strings.Cut(rest, ".")
	raw, err := b64.DecodeString(signature)
	if err != nil || !s.signed(s.header+"."+body, raw) {
		return claims{}, errToken
	}
	plain, err := b64.DecodeString(body)
	if err != nil || json.Unmarshal(plain, &c) != nil || now.Unix() >= c.Expiry {
		return claims{}, errToken
	}
	return c, nil
}

// signed says whether a signature is that of a text.
func (s signer) signed(text string, signature []byte) bool {
	digest, hash := s.digest(text)
	switch p := s.key.Public().(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, hash, digest, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(p, digest, signature)
	}
	return false
}
