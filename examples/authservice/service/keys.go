package service

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Keys sign grant tokens, and seal what the service lets clients keep. Nodes of the same
// secret and signing key accept what any of them made.
type Keys struct {
	sealer
	signer
}

const rsaBitsMin = 2048

// NewKeys makes the keys of a node.
//
// With a signing key from [ReadSigningKey], tokens are signed by that. Without one they
// are signed by Ed25519 and a key derived from the secret, which all nodes have; not every
// verifier takes that algorithm. Without a secret, too, everything is random: RS256, and
// nobody but this process, or whom it gives its Keys, accepts what it made.
func NewKeys(secret []byte, signing crypto.Signer) (_ *Keys, err error) {
	switch {
	case len(secret) == 0 && signing == nil:
		if signing, err = rsa.GenerateKey(rand.Reader, rsaBitsMin); err != nil {
			return nil, fmt.Errorf("service: signing key: %w", err)
		}
	case signing == nil:
		seed, err := hkdf.Key(sha256.New, secret, nil, "weir authservice jwt v1", ed25519.SeedSize)
		if err != nil {
			return nil, fmt.Errorf("service: signing key: %w", err)
		}
		signing = ed25519.NewKeyFromSeed(seed)
	}
	if len(secret) == 0 {
		secret = []byte(rand.Text())
	}
	k := &Keys{}
	if k.signer, err = newSigner(signing); err != nil {
		return nil, err
	}
	if k.sealer, err = newSealer(secret); err != nil {
		return nil, err
	}
	return k, nil
}

// ReadSigningKey reads a private key from PEM: RSA of at least 2048 bits, or Ed25519, as
// "openssl genrsa 2048" and "openssl genpkey -algorithm ed25519" write them.
func ReadSigningKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("is not PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("has a %q, not a private key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("has a private key that cannot be read: %w", err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < rsaBitsMin {
			return nil, fmt.Errorf("has an RSA key of %d bits, fewer than %d", k.N.BitLen(), rsaBitsMin)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("has a key of type %T, neither RSA nor Ed25519", key)
}
