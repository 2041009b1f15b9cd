package service

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Keys signs tokens and verifies them. Nodes that are made from one secret have the same
// keys, and verify what any of them signed.
type Keys struct {
	signer jose.Signer
	public jose.JSONWebKeySet
}

// use is what a token is for. It is signed with the token, so that a code cannot pass
// as an access token.
type use string

const (
	useCode    use = "code"
	useAccess  use = "access"
	useRefresh use = "refresh"
)

const (
	issuer     = "weir-authservice"
	codeLife   = time.Minute
	accessLife = 15 * time.Minute
	// refreshLife is how long a client can go on without a new code.
	refreshLife = 24 * time.Hour
)

// claims are what every token of this service says.
type claims struct {
	jwt.Claims
	Use use `json:"use"`
}

// errToken is every reason for which a token is not accepted: the caller is told no
// more, since it is either ours or not.
var errToken = errors.New("service: token is malformed, expired, or of another use")

// NewKeys derives the signing key from the cluster's secret. Without a secret the key is
// random, and only this process can verify what it signs.
func NewKeys(secret []byte) (*Keys, error) {
	if len(secret) == 0 {
		secret = []byte(rand.Text())
	}
	// The label keeps this key apart from those that the cluster derives.
	seed, err := hkdf.Key(sha256.New, secret, nil, "weir authservice jwt v1", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("service: signing key: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(jose.EdDSA), Use: "sig"}
	print, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("service: key id: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(print)
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: public.KeyID}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("service: signer: %w", err)
	}
	return &Keys{signer, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}}, nil
}

// issue signs a token for a subject.
func (k *Keys) issue(subject string, u use, life time.Duration) (string, error) {
	now := time.Now()
	return jwt.Signed(k.signer).Claims(claims{Use: u, Claims: jwt.Claims{
		Issuer:   issuer,
		Subject:  subject,
		ID:       rand.Text(),
		IssuedAt: jwt.NewNumericDate(now),
		Expiry:   jwt.NewNumericDate(now.Add(life)),
	}}).Serialize()
}

// verify returns what a token of the given use says.
func (k *Keys) verify(token string, u use) (claims, error) {
	// The list of algorithms is ours: a token must not choose how it is checked.
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return claims{}, errToken
	}
	var c claims
	if err := parsed.Claims(k.public.Keys[0].Key, &c); err != nil {
		return claims{}, errToken
	}
	expected := jwt.Expected{Issuer: issuer, Time: time.Now()}
	// No leeway: a code must not outlive the budget that makes it work only once.
	if c.ValidateWithLeeway(expected, 0) != nil || c.Expiry == nil || c.Use != u {
		return claims{}, errToken
	}
	return c, nil
}
